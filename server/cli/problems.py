"""A refusal of the service as one sentence for an operator: what it said, and what to do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from server.authn.strict import base64url, json_object

_HINTS = {
    "insufficient_relation": "let its subject be node-agent of this Node in SpiceDB, or pull as "
    "the Node itself",
    "node_not_found": "the relation exists but the ledger has no such Node; look at the id",
    "signed_event_bus_not_provisioned": "start the service with PLEXSPHERE_DSN set; "
    "`plexsphere-state receipt` shows what is missing",
    "datastore_unavailable": "Postgres is down or too slow; `plexsphere-state doctor` says more",
    "authz_unavailable": "SpiceDB is down or too slow; `plexsphere-state doctor` says more",
    "invalid_node_id": "give the id as a canonical lower-case UUID",
}
_INTERNAL = "the service's log has the cause under the correlation id"
_STRANGER = "no pull is answered so: look at PLEXSPHERE_URL"


def refusal_sentence(status: int, problem: Mapping[str, Any] | None, token: str) -> str:
    """What to print for an answer that is not the one asked for."""
    if problem is None:
        return f"{status} {_phrase(status)}: {_STRANGER}."
    code = problem.get("code")
    said = f"{status} {code or _phrase(status)}: {problem.get('detail', '')}"
    said += f" (correlation_id {problem.get('correlation_id', '-')})"
    hint = _HINTS.get(str(code), _INTERNAL if status >= 500 else _STRANGER)
    if status == HTTPStatus.UNAUTHORIZED:
        hint = about_token(token, time.time())
    elif status == HTTPStatus.FORBIDDEN:
        subject, _ = _claims(token)
        hint = f"the token is of {subject}; {hint}"
    return f"{said}; {hint}."


def about_token(token: str, now: float) -> str:
    """What a token says of itself: it is the caller's own, so it may be told. Unverified."""
    if not token:
        return "no token was sent: set PLEXSPHERE_TOKEN"
    subject, until = _claims(token)
    if subject is None or until is None:
        return "the token is no JWT with sub and exp: look at PLEXSPHERE_TOKEN"
    if until <= now:
        return f"the token of {subject} expired {_span(now - until)} ago: get a new one"
    return (
        f"the token is of {subject} and holds for another {_span(until - now)}: its key, "
        "its iss or its aud is not one that the service accepts"
    )


def _claims(token: str) -> tuple[str | None, float | None]:
    try:
        claims = json_object(base64url(token.split(".")[1]))
        return str(claims["sub"]), float(claims["exp"])
    except (ValueError, KeyError, IndexError, TypeError):
        return None, None


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"
