"""The ground floor: time, lanes, symbols, states and prices. Imports nothing above it."""
