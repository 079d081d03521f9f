"""The host of the engines: what they look at, what becomes of their signals."""
