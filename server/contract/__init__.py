"""What the service runs on: the contract, read once and compiled."""
