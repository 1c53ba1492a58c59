"""The fuzz suite: Schemathesis and directed cases against the service as `make run` starts it."""
