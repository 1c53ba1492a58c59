"""What an author of the contract is told before a start."""
