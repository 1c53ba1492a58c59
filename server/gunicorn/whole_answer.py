"""The head of an answer that the application has whole, with its length and every header.

gunicorn's Response finds out about each answer what this one says of itself: how it is framed,
and whether it has a body. The bytes are the same.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache

from gunicorn import SERVER

# What must stand in no line of a head.
_FORBIDDEN = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


def head(status: str, headers: Iterable[tuple[str, str]], *, may_go_on: bool) -> bytes:
    """The head of an HTTP/1.1 answer. Raises ValueError for what would be more than its lines."""
    lines = [
        f"HTTP/1.1 {status}",
        f"Server: {SERVER}",
        f"Date: {_date(int(time.time()))}",
        "Connection: keep-alive" if may_go_on else "Connection: close",
        *[f"{name}: {value}" for name, value in headers],
    ]
    if _FORBIDDEN.search("".join(lines)):
        raise ValueError("a control character in a head")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@lru_cache(2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
