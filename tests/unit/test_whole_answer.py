"""The head of a whole answer is the one that gunicorn writes."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.http.wsgi import Response

from server.gunicorn.whole_answer import head

HEADERS = [
    ("ETag", 'W/"ab"'),
    ("Content-Type", "application/json"),
    ("Content-Length", "2"),
]
DATE = re.compile(rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")


class Written(list[bytes]):
    sendall = list.append


def by_gunicorn(status: str, headers: list[tuple[str, str]], may_go_on: bool) -> bytes:
    written = Written()
    asked: Any = SimpleNamespace(method="GET", version=(1, 1), should_close=lambda: not may_go_on)
    response = Response(asked, written, SimpleNamespace(is_ssl=False))
    response.start_response(status, headers)
    response.send_headers()
    return b"".join(written)


@pytest.mark.parametrize("may_go_on", [True, False])
@pytest.mark.parametrize(
    ("status", "headers"), [("200 OK", HEADERS), ("304 NOT MODIFIED", HEADERS[:1])]
)
def test_it_is_byte_by_byte_gunicorns(
    status: str, headers: list[tuple[str, str]], may_go_on: bool
) -> None:
    ours = head(status, headers, may_go_on=may_go_on)
    theirs = by_gunicorn(status, headers, may_go_on)
    assert DATE.sub(b"Date", ours) == DATE.sub(b"Date", theirs)
    assert DATE.search(ours)


@pytest.mark.parametrize("text", ["a\r\nX: y", "a\n", "a\0", "\x7f", "\u2603"])
def test_no_header_makes_another_line(text: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        head("200 OK", [("X", text)], may_go_on=True)
    with pytest.raises(ValueError, match="control character"):
        head("200 OK", [(text, "x")], may_go_on=True)
