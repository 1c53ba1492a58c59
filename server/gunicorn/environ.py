"""Keys that the worker adds to the WSGI environment; missing under any other server."""

# The monotonic moment of the request's last byte, from which deadlines count.
RECEIVED = "plexsphere.received"
# Called with status line, headers and body of an answer that is whole, it sends them, and returns
# what the application returns. Not there for a HEAD or a client of HTTP/1.0.
SEND_WHOLE = "plexsphere.send_whole"
# Called with a function, it makes a Stream (stream.py): the answer goes on after its handler has
# returned, and the function is called when the client is gone.
HOLD = "plexsphere.hold"
