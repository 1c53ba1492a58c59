"""Events: the keys that sign them, their way through NATS, and the streams of the agents."""
