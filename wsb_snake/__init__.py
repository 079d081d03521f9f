"""WSB Snake: a 0DTE options daemon for one Alpaca account."""

__version__ = "0.1.0"
