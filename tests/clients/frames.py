"""The events of a stream, for the drivers in Python."""

import json


def events(lines, count):
    """Type and envelope of the first events."""
    kind = ""
    for line in lines:
        name, _, value = line.strip().partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)
            count -= 1
            if not count:
                return
    raise EOFError(f"the stream ended {count} events early")
