"""The order path: the one executor, its rules, and the broker behind a port."""
