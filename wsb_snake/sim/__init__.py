"""The embedded exchange. It shares only symbols, types, clock and prices with the daemon."""
