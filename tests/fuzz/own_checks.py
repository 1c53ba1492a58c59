"""Checks beside those of Schemathesis. Each is a name and a function to a complaint, or None.

The snapshot's own laws are here; `problem_checks.py` has those of every answer. A complaint names
what is wrong and never quotes a whole body.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any
from uuid import UUID

from werkzeug.http import parse_etags

from tests.contract.tables import AUTHZ
from tests.fuzz.exchange import Exchange
from tests.fuzz.world import World, snapshot_digest

Check = Callable[[Exchange, World], str | None]
KEY_BYTES = 32
# What only who may gets to see.
GRANTED = (200, 201, 204, 304, 404)


def base64_is_valid(exchange: Exchange, world: World) -> str | None:
    """32 bytes in the one spelling base64 has for them; a pattern lets stray last bits through."""
    for pointer, text in _keys(exchange.snapshot or {}):
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError, TypeError):
            return f"{pointer} is no base64"
        if len(raw) != KEY_BYTES or base64.b64encode(raw).decode() != text:
            return f"{pointer} is not {KEY_BYTES} bytes in canonical base64"
    return None


def _keys(snapshot: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for index, peer in enumerate(snapshot.get("peers") or ()):
        yield f"/peers/{index}/public_key", peer.get("public_key", "")
    if snapshot.get("policy"):
        yield "/policy/fingerprint", snapshot["policy"].get("fingerprint", "")


def peers_are_sorted_and_others(exchange: Exchange, world: World) -> str | None:
    """By the bytes of their ids, each once, neither the Addressed Node nor the nil UUID."""
    peers = (exchange.snapshot or {}).get("peers") or ()
    try:
        ids = [UUID(peer["node_id"]) for peer in peers]
    except (KeyError, ValueError, TypeError, AttributeError):
        return "a peer without a node_id"
    if any(first.bytes >= other.bytes for first, other in pairwise(ids)):
        return "peers are not strictly ascending by node_id"
    if UUID(int=0) in ids:
        return "the nil UUID among the peers"
    return "the Addressed Node among its own peers" if exchange.node_id in map(str, ids) else None


def state_equals_reports(exchange: Exchange, world: World) -> str | None:
    """`state` and `reports` are one value under two names."""
    snapshot = exchange.snapshot
    if snapshot is None or snapshot.get("state") == snapshot.get("reports"):
        return None
    return "state and reports differ"


def fingerprint_is_of_the_rules(exchange: Exchange, world: World) -> str | None:
    """From the wire alone: our ledgers hold their rules in the spelling of the wire."""
    policy = (exchange.snapshot or {}).get("policy")
    if not policy:
        return None
    lines = (json.dumps(rule, separators=(",", ":")) + "\n" for rule in policy.get("rules") or ())
    digest = hashlib.sha256("".join(lines).encode()).digest()
    if policy.get("fingerprint") == base64.b64encode(digest).decode():
        return None
    return "the fingerprint is not that of the rules"


def snapshot_is_the_ledgers(exchange: Exchange, world: World) -> str | None:
    """The body must be the one that the second implementation reads for the Node.

    But for those that the run itself writes to.
    """
    snapshot = exchange.snapshot
    written = exchange.node_id in world.scratch.known or exchange.node_id in world.made
    if snapshot is None or written:
        return None
    expected = world.digests.get(exchange.node_id)
    if expected is None:
        return "a Node that the ledger does not have"
    return None if snapshot_digest(snapshot) == expected else "not what the ledger holds"


def granted_to_its_agent_alone(exchange: Exchange, world: World) -> str | None:
    """Behind the gates is only who sent the token of one who may; everyone else is 401 or 403."""
    if not AUTHZ.get(exchange.name) or exchange.status not in GRANTED:
        return None
    credential = exchange.sent.get("authorization", "").partition(" ")[2]
    own = world.permitted(exchange.name, exchange.object_id)
    return (
        None
        if own is not None and credential == own
        else "granted to a caller without the relation"
    )


def tag_decides_between_200_and_304(exchange: Exchange, world: World) -> str | None:
    """304 exactly where `If-None-Match` names the tag, compared weakly."""
    tag = exchange.received.get("etag", "")
    if exchange.status not in (200, 304) or not tag:
        return None
    opaque = tag.removeprefix("W/").strip('"')
    is_listed = parse_etags(exchange.sent.get("if-none-match")).contains_weak(opaque)
    if is_listed == (exchange.status == 304):
        return None
    return "304 without a matching tag" if not is_listed else "200 although the tag matches"


class TagStandsForOneState:
    """Two states never share a tag, and one Node's unchanged state keeps its own.

    Of the Nodes that nobody writes to in a run, which are few enough to be remembered.
    """

    def __init__(self) -> None:
        self._state_of: dict[str, str] = {}
        self._tag_of: dict[str, str] = {}

    def __call__(self, exchange: Exchange, world: World) -> str | None:
        snapshot, tag = exchange.snapshot, exchange.received.get("etag", "")
        if snapshot is None or exchange.node_id not in world.digests:
            return None
        if not isinstance(snapshot.get("reachability"), dict):
            return None
        reach = str(snapshot["reachability"].get("state"))
        state = f"{exchange.node_id} {reach} {snapshot_digest(snapshot)}"
        if self._state_of.setdefault(tag, state) != state:
            return "two states under one tag"
        return "a second tag for one state" if self._tag_of.setdefault(state, tag) != tag else None


def snapshot_checks() -> dict[str, Check]:
    """Fresh ones: a run remembers its tags."""
    return {
        "base64_is_valid": base64_is_valid,
        "peers_are_sorted_and_others": peers_are_sorted_and_others,
        "state_equals_reports": state_equals_reports,
        "fingerprint_is_of_the_rules": fingerprint_is_of_the_rules,
        "snapshot_is_the_ledgers": snapshot_is_the_ledgers,
        "granted_to_its_agent_alone": granted_to_its_agent_alone,
        "tag_decides_between_200_and_304": tag_decides_between_200_and_304,
        "tag_stands_for_one_state": TagStandsForOneState(),
    }
