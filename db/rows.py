"""Turns the columns of ``snapshot_for_node`` into the composer's rows, unchanged in content.

Each function raises ValueError or another error of ``UNDECODABLE`` for what it cannot decode;
``decoded`` turns that into CorruptLedger.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from composer.bridge import BridgeRows, RelayRow
from composer.entries import EntryRow
from composer.errors import CorruptLedger
from composer.peers import PeerRow
from composer.policy import RuleSetRow
from composer.reachability import ReachabilityRow
from composer.snapshot import IngressRule, RelayAssignment, SiteToSiteTunnel, UserAccessProvider

UNDECODABLE = (ValueError, TypeError, IndexError, OverflowError, RecursionError)

T = TypeVar("T")


def decoded(place: str, decode: Callable[..., T], *columns: object) -> T:
    """The rows of columns. ``place`` names the object and the row set for CorruptLedger."""
    try:
        return decode(*columns)
    except UNDECODABLE as cause:
        # Not chained: the cause quotes what it could not decode.
        raise CorruptLedger(f"{place} reason={type(cause).__name__}") from None


def undamaged(text: str) -> str:
    """The lines of a text that begins with their digest (peer_lines): they are served until the
    ledger has another revision. Raises ValueError where a byte has changed on the way."""
    digest, _, lines = text.partition("\n")
    if hashlib.sha256(lines.encode()).hexdigest() != digest:
        raise ValueError("lines unlike their digest")
    return lines


def peer_rows(text: str, known: Mapping[str, PeerRow]) -> dict[str, PeerRow]:
    """A row for each line, ascending by Node id; ``known`` has rows of lines decoded before.

    The lines start with the id in canonical text, whose order is the order of its bytes.
    """
    return {line: known.get(line) or _peer_row(line) for line in sorted(text.split("\n"))}


def _peer_row(line: str) -> PeerRow:
    node_id, mesh_ip, public_key, *fallback = line.split(" ", 4)
    port, host = fallback if fallback else (None, None)
    return PeerRow(
        node_id=UUID(int=int(node_id.replace("-", ""), 16)),  # a third faster than from text
        mesh_ip=None if mesh_ip == "-" else mesh_ip,
        public_key=None if public_key == "-" else bytes.fromhex(public_key),
        relay_host=None if host is None else _text(json.loads(host)),
        relay_port=None if port is None else int(port),
    )


def reachability_row(text: str) -> ReachabilityRow:
    """[state, last_heartbeat_at, changed_at]"""
    state, last_heartbeat_at, changed_at = json.loads(text)
    return reachability_columns(_text(state), last_heartbeat_at, changed_at)


def reachability_columns(
    state: str, last_heartbeat_at: str | None, changed_at: str
) -> ReachabilityRow:
    """The row of these columns; times are texts in UTC."""
    return ReachabilityRow(
        state,
        None if last_heartbeat_at is None else moment(last_heartbeat_at),
        moment(changed_at),
    )


def rule_set_rows(text: str | None) -> tuple[RuleSetRow, ...]:
    """[[policy_id, revision_id, rule_payload, fingerprint], ...]"""
    return tuple(
        RuleSetRow(
            policy_id=UUID(policy_id),
            revision_id=UUID(revision_id),
            rule_payload=bytes.fromhex(payload),
            fingerprint=bytes.fromhex(print_),
        )
        for policy_id, revision_id, payload, print_ in _array(text)
    )


def rule_set_line(line: str) -> RuleSetRow:
    """The row of ``policy_id revision_id rule_payload fingerprint``, the last two in hex."""
    policy_id, revision_id, payload, print_ = line.split(" ")
    return RuleSetRow(
        policy_id=UUID(policy_id),
        revision_id=UUID(revision_id),
        rule_payload=bytes.fromhex(payload),
        fingerprint=bytes.fromhex(print_),
    )


def entry_rows(text: str | None) -> tuple[EntryRow, ...]:
    """[[kind, key, value, workload_tag], ...]"""
    return tuple(EntryRow(*entry) for entry in _array(text))


def bridge_rows(text: str | None) -> BridgeRows | None:
    """[relay, assignments, providers, rules, tunnels]; None without a bridge Resource."""
    if text is None:
        return None
    relay, assignments, providers, rules, tunnels = json.loads(text, parse_float=_finite)
    return BridgeRows(
        relay=None if relay is None else RelayRow(*relay),
        assignments=tuple(RelayAssignment(UUID(peer), *rest) for peer, *rest in assignments or ()),
        providers=tuple(_provider(row) for row in providers or ()),
        ingress_rules=tuple(_rule(row) for row in rules or ()),
        tunnels=tuple(_tunnel(row) for row in tunnels or ()),
    )


def _provider(row: list[Any]) -> UserAccessProvider:
    provider_id, slug, kind, interface, port, peers, secret_ref, routing, created_at, updated_at = (
        row
    )
    return UserAccessProvider(
        id=UUID(provider_id),
        slug=slug,
        kind=kind,
        interface_name=interface,
        listen_port=port,
        max_peers=peers,
        auth_secret_ref=secret_ref,
        routing_policy=routing,
        created_at=moment(created_at),
        updated_at=moment(updated_at),
    )


def _rule(row: list[Any]) -> IngressRule:
    rule_id, slug, sni_host, target_node_id, target_port, acme, created_at, updated_at = row
    return IngressRule(
        id=UUID(rule_id),
        slug=slug,
        sni_host=sni_host,
        target_node_id=UUID(target_node_id),
        target_port=target_port,
        created_at=moment(created_at),
        updated_at=moment(updated_at),
        acme_account_ref=acme,
    )


def _tunnel(row: list[Any]) -> SiteToSiteTunnel:
    tunnel_id, slug, kind, host, port, secret_ref, subnets, routing, created_at, updated_at = row
    return SiteToSiteTunnel(
        id=UUID(tunnel_id),
        slug=slug,
        kind=kind,
        remote_host=host,
        remote_port=port,
        auth_secret_ref=secret_ref,
        allowed_subnets=tuple(_text(subnet) for subnet in subnets),
        routing_policy=routing,
        created_at=moment(created_at),
        updated_at=moment(updated_at),
    )


def _array(text: str | None) -> list[Any]:
    """The result of ``json_agg``, which is NULL without rows."""
    return [] if text is None else json.loads(text)


def moment(text: str) -> datetime:
    """UTC, exact to the microsecond; ``infinity`` and years after 9999 raise ValueError."""
    return datetime.fromisoformat(text + "+00:00")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number past all floats")
    return value
