"""Turns a refusal into a Problem (RFC 9457; docs/design.md, Problems)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from handlers.answers import PROBLEM, Answer
from handlers.refusals import (
    INSUFFICIENT_RELATION,
    INTERNAL,
    PAYLOAD_TOO_LARGE,
    UNAUTHORIZED,
    UNSUPPORTED_MEDIA_TYPE,
    RefusalKind,
)

TYPE_PREFIX = "https://plexsphere.com/errors/"
INSTANCE_MAX = 256

# Reason phrases on the wire. A library's own phrases change between its versions.
TITLES: Mapping[int, str] = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}

# Refusals that belong to no operation; they have no code.
NO_SUCH_ROUTE = RefusalKind(404, None, "No such resource.")
METHOD_NOT_ALLOWED = RefusalKind(405, None, "The method is not declared for this path.")
BAD_REQUEST = RefusalKind(400, None, "The request could not be understood.")
FRAMEWORK: Mapping[int, RefusalKind] = {
    kind.status: kind
    for kind in (
        NO_SUCH_ROUTE,
        METHOD_NOT_ALLOWED,
        BAD_REQUEST,
        PAYLOAD_TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE,
    )
}


def problem_type(kind: RefusalKind) -> str:
    """The ``type`` URI: made of the code, or of the title where there is no code."""
    if kind.code is not None:
        return TYPE_PREFIX + kind.code.replace("_", "-")
    if kind.status == INTERNAL.status:
        return TYPE_PREFIX + "internal"
    return TYPE_PREFIX + TITLES[kind.status].lower().replace(" ", "-")


def instance_of(path: str) -> str:
    """The request path, percent-encoded, at most ``INSTANCE_MAX`` characters."""
    return quote(path, safe="/:@!$&'()*+,;=-._~")[:INSTANCE_MAX]


def problem_answer(
    kind: RefusalKind,
    path: str,
    correlation_id: str,
    allow: tuple[str, ...] = (),
    child_counts: Mapping[str, int] | None = None,
) -> Answer:
    """The Problem of a refusal. It gets the outside of the refusal only."""
    body: dict[str, object] = {
        "type": problem_type(kind),
        "title": TITLES[kind.status],
        "status": kind.status,
        "detail": kind.detail,
        "instance": instance_of(path),
    }
    if kind.code is not None:
        body["code"] = kind.code
    if kind is INSUFFICIENT_RELATION:
        body["reason"] = kind.code
    if child_counts is not None:
        body["child_counts"] = dict(child_counts)
    body["correlation_id"] = correlation_id
    headers = {"Cache-Control": "no-store"}
    if kind is UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if kind.retry_after is not None:
        headers["Retry-After"] = str(kind.retry_after)
    if allow:
        headers["Allow"] = ", ".join(allow)
    return Answer(kind.status, body, media_type=PROBLEM, headers=headers)
