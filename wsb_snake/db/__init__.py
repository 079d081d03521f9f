"""Durable state: one SQLite file, one writer, and the journal in it."""
