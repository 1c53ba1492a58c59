"""Checks of the contract that run before a start, with messages for its author."""
