"""The daemon on a virtual clock."""
