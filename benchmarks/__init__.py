"""What the parts cost in time and memory, and whether the losses are still the same."""
