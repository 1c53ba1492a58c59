"""How gunicorn runs the service: configuration, worker, logs."""
