"""SPARNet and SPARNetHD: face super-resolution and blind face restoration."""

__version__ = "0.1.0"
