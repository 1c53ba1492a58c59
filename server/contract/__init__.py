"""The contract that the service runs on, read once and compiled."""
