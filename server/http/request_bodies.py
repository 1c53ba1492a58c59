"""From the bytes of a request to a JSON object, never holding more of them than allowed.

Connexion's own reading is not used: it comes before security, and a chunked body past
``MAX_CONTENT_LENGTH`` is silently cut. Here the stream itself is read, one byte
further than allowed at most, so that a body is whole or refused however it was sent.
"""

from __future__ import annotations

import zlib
from typing import Any

import flask

from handlers.refusals import UNSUPPORTED_MEDIA_TYPE, RefusalKind, Refused
from server.authn.strict import json_object
from server.contract.document import BodyContract
from server.http.request_refusals import BodyRefusals

# What gzip adds to content that does not shrink, its header and a file name included (bytes).
GZIP_OVERHEAD = 1_024
# Deeper than anything we declare, and far from any stack's end.
MAX_DEPTH = 64
_GZIP = 16 + zlib.MAX_WBITS


def read_object(body: BodyContract, refusals: BodyRefusals) -> tuple[dict[str, Any], str]:
    """The JSON object of the current request, and the media type it came as."""
    request = flask.request
    if request.mimetype not in body.media:
        raise Refused(UNSUPPORTED_MEDIA_TYPE, "Content-Type is not declared")
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip"):
        raise Refused(UNSUPPORTED_MEDIA_TYPE, "Content-Encoding is neither gzip nor identity")
    try:
        too_large = refusals.too_large
        if coding == "identity":
            raw = _received(body.max_bytes, too_large)
        else:
            received = _received(body.max_bytes + GZIP_OVERHEAD, too_large)
            raw = inflated(received, body.max_bytes, too_large)
        return json_object(raw, MAX_DEPTH), request.mimetype
    except ValueError as error:
        raise Refused(refusals.malformed, f"body: {error}") from error


def _received(limit: int, too_large: RefusalKind) -> bytes:
    length = flask.request.content_length
    if length is not None and length > limit:
        raise Refused(too_large, f"content length {length}")
    try:
        raw = flask.request.stream.read(limit + 1)  # a chunked body names no length
    except Exception as error:  # chunks that are none, a client that left: each server has its own
        raise ValueError(f"cannot be read: {type(error).__name__}") from error
    if len(raw) > limit:
        raise Refused(too_large, f"more than {limit} bytes received")
    return raw


def inflated(raw: bytes, limit: int, too_large: RefusalKind) -> bytes:
    """What gzip made of ``raw``, all members of it.

    Stops at the first byte past ``limit``: a bomb is never held. Raises ValueError for what is no
    gzip, or is cut short.
    """
    parts: list[bytes] = []
    left = limit
    while True:
        member = zlib.decompressobj(_GZIP)
        try:
            part = member.decompress(raw, left + 1)
        except zlib.error:
            raise ValueError("not gzip") from None
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise Refused(too_large, f"more than {limit} bytes inflated")
        if not member.eof:
            raise ValueError("gzip cut short")
        raw = member.unused_data
        if not raw:
            return b"".join(parts)
