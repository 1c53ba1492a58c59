"""The processes beside the service, on one loop: the evaluator and the relay."""
