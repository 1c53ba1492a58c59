"""Events: the keys that sign them, and their way through NATS to the agents."""
