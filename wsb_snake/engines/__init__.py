"""Signals: pure functions of the market view, their own state and learnt weights."""
