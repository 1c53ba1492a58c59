"""Laws of the writes that no schema states; each check is a name and a function, as the others."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

from server.authn.strict import base64url, json_object
from tests.fuzz.exchange import Exchange
from tests.fuzz.own_checks import Check
from tests.fuzz.scratch import REVOKE
from tests.fuzz.world import World

# How many removed objects and idempotency keys a check remembers; a long run has more.
REMEMBERED = 10_000


def subject_of(token: str) -> str | None:
    """``sub`` of a JWT, unverified; None where it is none."""
    try:
        return str(json_object(base64url(token.split(".")[1]))["sub"])
    except (IndexError, ValueError, KeyError):
        return None


def token_is_of_the_node(exchange: Exchange, world: World) -> str | None:
    """A credential that is given out is that of the Node it was asked for, or that was made."""
    values = exchange.value or {}
    if exchange.name not in ("RegisterNode", "RenewNodeToken") or not exchange.succeeded:
        return None
    node = values.get("node_id") or exchange.object_id
    return None if subject_of(str(values.get("token"))) == f"node:{node}" else "another's token"


def cursor_is_of_the_domain(exchange: Exchange, world: World) -> str | None:
    """A page of a Domain is not begun where one of another ended."""
    cursors = parse_qs(urlsplit(exchange.path).query).get("cursor", [])
    if exchange.name != "ListDomainNodes" or not exchange.succeeded or not cursors:
        return None
    raw = base64.urlsafe_b64decode(cursors[0] + "=" * (-len(cursors[0]) % 4))
    return None if raw[:16] == UUID(exchange.object_id).bytes else "a cursor of another Domain"


class RemovedStaysGone:
    """Behind a 204 nothing is found under that path any more, or below it, unless it is put."""

    def __init__(self) -> None:
        self._gone: dict[str, None] = {}

    def __call__(self, exchange: Exchange, world: World) -> str | None:
        if not exchange.succeeded:
            return None
        path = unquote(urlsplit(exchange.path).path)
        if exchange.method == "PUT":
            self._gone.pop(path, None)
        parts = path.split("/")
        above = {"/".join(parts[:length]) for length in range(2, len(parts) + 1)}
        if not above.isdisjoint(self._gone):
            return "it was removed before"
        if exchange.status == 204 and exchange.name != REVOKE:
            _remember(self._gone, path, None)
        return None


class OneKeyMakesOneObject:
    """An `Idempotency-Key` finds the object that it made, for as long as that object exists."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], Any] = {}

    def __call__(self, exchange: Exchange, world: World) -> str | None:
        key, value = exchange.sent.get("idempotency-key"), exchange.value
        if key is None or value is None or exchange.status not in (200, 201):
            return None
        made, at = value.get("node_id", value.get("id")), (exchange.path, key)
        if self._made.get(at, made) != made:
            return "two objects of one Idempotency-Key"
        _remember(self._made, at, made)
        return None


def _remember(known: dict[Any, Any], key: object, value: object) -> None:
    known[key] = value
    if len(known) > REMEMBERED:
        del known[next(iter(known))]


def write_checks() -> dict[str, Check]:
    """Fresh ones: a run remembers what it has made and removed."""
    return {
        "token_is_of_the_node": token_is_of_the_node,
        "cursor_is_of_the_domain": cursor_is_of_the_domain,
        "removed_stays_gone": RemovedStaysGone(),
        "one_key_makes_one_object": OneKeyMakesOneObject(),
    }
