"""The version of the code; with the protocol's digest it says which results compare."""

__version__ = "0.1.0"
