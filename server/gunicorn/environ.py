"""What the worker adds to the WSGI environment; missing under any other server."""

# The monotonic moment of the request's last byte, from which deadlines count.
RECEIVED = "plexsphere.received"
