"""Keeping the state: backups, the way back from them, and how long old rows stay."""
