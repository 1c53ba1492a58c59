"""gunicorn under the service: configuration, worker, logs."""
