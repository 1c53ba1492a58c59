"""What ``snapshot --explain`` says: why each Node is a peer or not, and every block's rows."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from composer.peers import PUBLIC_KEY_BYTES
from composer.reachability import STATES
from server.cli.screens import line, pairs, plain, table
from server.cli.text import counted

if TYPE_CHECKING:  # the driver would cost every command a third of a second
    from db.explain import Assignment, DomainNode, Explanation

PEER, ADDRESSED = "peer", "addressed"

_BROKEN = {
    "invalid_node_id": "its id is the nil UUID",
    "invalid_mesh_ip": "its mesh_ip is {mesh_ip}",
    "empty_public_key": "it has no public key",
    "malformed_public_key": "its public key has {key_bytes} bytes instead of {expected}",
}


def verdict(node: DomainNode, addressed: str) -> tuple[str, str]:
    """A word (peer, addressed, or the composer's outcome) and the reason behind it."""
    if node.id == addressed:
        reason = "the addressed Node itself: no Node is its own peer"
        if node.broken is not None:
            reason += f"; as a peer of others it is dropped, {_broken(node)}"
        return ADDRESSED, reason
    if node.broken is not None:
        return node.broken, f"dropped: {_broken(node)}"
    served = next((one for one in node.assignments if one.served), None)
    if served is not None:
        return PEER, f"served, with the relay on {served.host_node_id} to fall back to"
    if node.assignments:
        return PEER, f"served without a relay: {'; '.join(map(_idle, node.assignments))}"
    return PEER, "served"


def failures(found: Explanation) -> list[str]:
    """Why a pull of this Node ends in a 500; empty when it does not."""
    faults = [
        f"policy {row.policy_id} is refused: {row.fault}" for row in found.policies if row.fault
    ]
    if found.node.reachability_state not in STATES:
        faults.append(f"reachability_state is {found.node.reachability_state!r}")
    return faults


def render(found: Explanation) -> Iterator[Text | Table]:
    """The outcome, the Domain's Nodes, then block by block the rows of the ledger."""
    yield line("outcome", _outcome(found))
    yield _peers(found)
    yield _reachability(found)
    yield from _policy(found)
    yield from _bridge(found)
    yield from _entries(found)


def to_json(found: Explanation) -> dict[str, Any]:
    """For scripts; bytes as base64."""
    return {
        "failures": failures(found),
        "node": asdict(found.node),
        "domain": [_node_json(node, found.node.id) for node in found.domain],
        "policies": [asdict(row) for row in found.policies],
        "bridge": [asdict(row) for row in found.bridge],
        "entries": [asdict(row) for row in found.entries],
    }


def _outcome(found: Explanation) -> str:
    faults = failures(found)
    if faults:
        return f"a pull of this Node ends in a 500: {'; '.join(faults)}"
    return "nothing in these rows keeps a pull that passes the gates from a 200"


def _peers(found: Explanation) -> Table:
    verdicts = [(node, *verdict(node, found.node.id)) for node in found.domain]
    counts = Counter(word for _, word, _ in verdicts)
    title = (
        f"peers  from {counted(len(found.domain), 'row')} of plexsphere.nodes in Domain "
        f"{found.node.domain_id} {found.node.domain_name}: "
        + ", ".join(f"{word} {number:,}" for word, number in counts.most_common())
    )
    # The exceptions first: a large Domain scrolls.
    rows = [
        (node.id, node.name, node.mesh_ip or "-", plain(word, _style(word)), reason)
        for node, word, reason in sorted(verdicts, key=lambda one: one[1] == PEER)
    ]
    return table(title, ("node_id", "name", "mesh_ip", "verdict", "why"), rows)


def _style(word: str) -> str:
    return {PEER: "green", ADDRESSED: "dim"}.get(word, "red")


def _reachability(found: Explanation) -> Table:
    node = found.node
    return pairs(
        "reachability  from the Node's own row",
        {
            "reachability_state": node.reachability_state or '"" (never evaluated)',
            "last_heartbeat_at": node.last_heartbeat_at or "NULL, served as 0001-01-01T00:00:00Z",
            "changed_at": node.changed_at,
        },
    )


def _policy(found: Explanation) -> Iterator[Text | Table]:
    if not found.policies:
        yield line("policy", "null: no row of policy_compiled_ruleset for this Node")
        return
    rows = [
        (
            row.policy_id,
            row.revision_id,
            plain("ok", "green") if row.fingerprint_holds else plain("DISAGREES", "red"),
            "-" if row.rules is None else row.rules,
            f"{row.payload_bytes:,}",
            plain(row.fault or "merged", "red" if row.fault else ""),
        )
        for row in found.policies
    ]
    title = f"policy  from {counted(len(rows), 'row')} of policy_compiled_ruleset, in this order"
    yield table(title, ("policy_id", "revision_id", "fingerprint", "rules", "bytes", "why"), rows)


def _bridge(found: Explanation) -> Iterator[Text | Table]:
    if not found.bridge:
        yield line("bridge", "null: no row of bridge_resources for this Node")
        return
    rows = [(row.table, row.key, row.written_at, row.says) for row in found.bridge]
    title = f"bridge  from {counted(len(rows), 'row')}"
    yield table(title, ("table", "key", "written at", "says"), rows)


def _entries(found: Explanation) -> Iterator[Text | Table]:
    if not found.entries:
        yield line("state, reports", "empty: no row of node_state_entries for this Node")
        return
    rows = [
        (row.kind, row.key, row.workload_tag or "", f"{row.value_bytes:,}", row.updated_at)
        for row in found.entries
    ]
    title = f"state, reports  from {counted(len(rows), 'row')} of node_state_entries"
    yield table(title, ("kind", "key", "workload_tag", "bytes", "updated at"), rows)


def _broken(node: DomainNode) -> str:
    assert node.broken is not None
    return _BROKEN[node.broken].format(
        mesh_ip=node.mesh_ip or "not set",
        key_bytes=len(node.public_key or b""),
        expected=PUBLIC_KEY_BYTES,
    )


def _idle(assignment: Assignment) -> str:
    if not assignment.enabled:
        return f"the one on {assignment.host_node_id} is disabled"
    return f"the one on {assignment.host_node_id} is in another Domain"


def _node_json(node: DomainNode, addressed: str) -> dict[str, Any]:
    word, reason = verdict(node, addressed)
    key = None if node.public_key is None else b64encode(node.public_key).decode("ascii")
    return {**asdict(node), "public_key": key, "verdict": word, "why": reason}
