"""The processes beside the service: the evaluator and the outbox relay, on one loop."""
