"""Schemathesis' HTTP client reads an event stream as far as its opening: a stream has no end."""

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from tests.client import EVENT_STREAM, opening

_send = HTTPAdapter.send


def send(
    adapter: HTTPAdapter, request: PreparedRequest, *rest: object, **options: object
) -> Response:
    """The library's own, but that a stream is read as far as its opening."""
    response = _send(adapter, request, *rest, **options)  # type: ignore[arg-type]
    if response.headers.get("Content-Type") == EVENT_STREAM and request.method != "HEAD":
        response._content = opening(response.iter_content(1))
        response._content_consumed = True  # type: ignore[attr-defined]
        response.close()
    return response


def install() -> None:
    HTTPAdapter.send = send  # type: ignore[method-assign]
