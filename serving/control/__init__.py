"""What keeps the servers running, and changes what they serve while they run."""
