"""``snapshot --explain``: why each Node is a peer or not, and the rows behind each block."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from composer.errors import NodeNotFound
from composer.peers import PUBLIC_KEY_BYTES
from composer.reachability import STATES
from server.cli.failures import ExitCode, Failure
from server.cli.formats import counted
from server.cli.screen import (
    Screen,
    line,
    narrowed,
    pairs,
    plain,
    table,
    write_json,
)

if TYPE_CHECKING:
    from db.explain import Assignment, DomainNode, Explanation

PEER, ADDRESSED = "peer", "addressed"
OTHER_DOMAIN, UNKNOWN = "other_domain", "unknown"

_BROKEN = {
    "invalid_node_id": "its id is the nil UUID",
    "invalid_mesh_ip": "its mesh_ip is {mesh_ip}",
    "empty_public_key": "it has no public key",
    "malformed_public_key": "its public key has {key_bytes} bytes instead of {expected}",
}


def show_explanation(dsn: str, addressed: str, as_json: bool) -> None:
    """Reads the ledger, and writes the explanation of this Node to stdout."""
    from server.cli.pull_fault import pull_fault

    explanation = _explained(dsn, addressed)
    faults = failures(explanation)
    if not faults:  # the rows alone do not tell what the contract does not allow
        try:
            fault = pull_fault(dsn, UUID(addressed), UUID(explanation.node.domain_id))
        except NodeNotFound as error:  # it was deleted between the two reads
            raise _gone(addressed) from error
        faults += [fault] if fault else []
    if as_json:
        write_json(to_json(explanation, faults))
        return
    screen = Screen()
    screen.print(line("Node", f"{explanation.node.id} {explanation.node.name}"))
    screen.print_all(render(explanation, faults, screen.width))


def _explained(dsn: str, addressed: str) -> Explanation:
    from db.explain import explain

    try:
        return explain(dsn, UUID(addressed))
    except NodeNotFound as error:
        raise _gone(addressed) from error


def _gone(addressed: str) -> Failure:
    return Failure(
        f"the ledger has no Node {addressed}: a caller that may pull it is answered 404.",
        ExitCode.DIFFERENT,
    )


def show_peer(dsn: str, addressed: str, peer: str, as_json: bool) -> None:
    """Writes why the addressed Node gets another one as a peer, or why not; exit code 1 then."""
    explanation = _explained(dsn, addressed)
    node = next((node for node in explanation.domain if node.id == peer), None)
    if node is not None:
        outcome, reason = peer_outcome(node, addressed)
    else:
        outcome, reason = _elsewhere(dsn, explanation, peer)
    if as_json:
        write_json({"node": addressed, "peer": peer, "outcome": outcome, "reason": reason})
    else:
        Screen().print(line(outcome, reason))
    if outcome != PEER:
        raise typer.Exit(ExitCode.DIFFERENT)


def _elsewhere(dsn: str, explanation: Explanation, peer: str) -> tuple[str, str]:
    """The outcome of a Node that is not in the Domain of the addressed one."""
    from db.explain import explain

    try:
        other = explain(dsn, UUID(peer)).node
    except NodeNotFound:
        return UNKNOWN, f"the ledger has no Node {peer}"
    own = explanation.node
    return OTHER_DOMAIN, (
        f"peers are of one Domain: {other.name or peer} is in {other.domain_name} "
        f"({other.domain_id}), and {own.name or own.id} in {own.domain_name} ({own.domain_id})"
    )


def peer_outcome(node: DomainNode, addressed: str) -> tuple[str, str]:
    """``peer``, ``addressed`` or the composer's reason for the drop; and a sentence."""
    if node.id == addressed:
        reason = "the addressed Node itself: no Node is its own peer"
        if node.broken is not None:
            reason += f"; other Nodes do not get it as a peer, because {_broken(node)}"
        return ADDRESSED, reason
    if node.broken is not None:
        return node.broken, f"dropped: {_broken(node)}"
    relay = next((assignment for assignment in node.assignments if assignment.served), None)
    if relay is not None:
        return PEER, f"served, with the relay on {relay.host_node_id} as fallback"
    if node.assignments:
        return PEER, f"served without a relay: {'; '.join(map(_unused, node.assignments))}"
    return PEER, "served"


def failures(explanation: Explanation) -> list[str]:
    """The rows because of which a pull of this Node is answered 500."""
    faults = [
        f"policy {row.policy_id} is refused: {row.fault}"
        for row in explanation.policies
        if row.fault
    ]
    if explanation.node.reachability_state not in STATES:
        faults.append(f"reachability_state is {explanation.node.reachability_state!r}")
    return faults


def render(explanation: Explanation, faults: Sequence[str], width: int) -> Iterator[Text | Table]:
    """The result of a pull, which ``faults`` make a 500, the Domain's Nodes, then block by block
    the rows of the ledger. ``width`` of the screen in characters."""
    yield line("outcome", _outcome(faults))
    yield from _peers(explanation, width)
    yield _reachability(explanation)
    yield from _policy(explanation)
    yield from _bridge(explanation)
    yield from _entries(explanation)


def to_json(explanation: Explanation, faults: Sequence[str]) -> dict[str, Any]:
    """The value as JSON, for scripts; bytes as base64."""
    return {
        "failures": [*faults],
        "node": asdict(explanation.node),
        "domain": [_node_json(node, explanation.node.id) for node in explanation.domain],
        "policies": [asdict(row) for row in explanation.policies],
        "bridge": [asdict(row) for row in explanation.bridge],
        "entries": [asdict(row) for row in explanation.entries],
    }


def _outcome(faults: Sequence[str]) -> str:
    if faults:
        return f"a pull of this Node is answered 500: {'; '.join(faults)}"
    return "a pull that passes the gates is answered 200: no row is corrupt"


def _peers(explanation: Explanation, width: int) -> Iterator[Text | Table]:
    outcomes = [(node, *peer_outcome(node, explanation.node.id)) for node in explanation.domain]
    counts = Counter(outcome for _, outcome, _ in outcomes)
    title = (
        f"peers  from {counted(len(explanation.domain), 'row')} of plexsphere.nodes in Domain "
        f"{explanation.node.domain_id} {explanation.node.domain_name}: "
        + ", ".join(f"{outcome} {number:,}" for outcome, number in counts.most_common())
    )
    # Nodes that are no peers come first, because the table of a large Domain scrolls.
    rows = [
        (node.id, plain(outcome, _style(outcome)), node.mesh_ip or "-", node.name, reason)
        for node, outcome, reason in sorted(outcomes, key=lambda row: row[1] == PEER)
    ]
    columns = ("node_id", "outcome", "mesh_ip", "name", "why")
    yield from narrowed(title=title, columns=columns, rows=rows, width=width, at_least=2, folding=1)


def _style(outcome: str) -> str:
    return {PEER: "green", ADDRESSED: "dim"}.get(outcome, "red")


def _reachability(explanation: Explanation) -> Table:
    node = explanation.node
    return pairs(
        "reachability  from the Node's own row",
        {
            "reachability_state": node.reachability_state or '"" (never evaluated)',
            "last_heartbeat_at": node.last_heartbeat_at or "NULL, served as 0001-01-01T00:00:00Z",
            "changed_at": node.changed_at,
        },
    )


def _policy(explanation: Explanation) -> Iterator[Text | Table]:
    if not explanation.policies:
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
        for row in explanation.policies
    ]
    title = f"policy  from {counted(len(rows), 'row')} of policy_compiled_ruleset, in this order"
    yield table(title, ("policy_id", "revision_id", "fingerprint", "rules", "bytes", "why"), rows)


def _bridge(explanation: Explanation) -> Iterator[Text | Table]:
    if not explanation.bridge:
        yield line("bridge", "null: no row of bridge_resources for this Node")
        return
    rows = [(row.table, row.key, row.written_at, row.says) for row in explanation.bridge]
    title = f"bridge  from {counted(len(rows), 'row')}"
    yield table(title, ("table", "key", "written at", "says"), rows)


def _entries(explanation: Explanation) -> Iterator[Text | Table]:
    if not explanation.entries:
        yield line("state, reports", "empty: no row of node_state_entries for this Node")
        return
    rows = [
        (row.kind, row.key, row.workload_tag or "", f"{row.value_bytes:,}", row.updated_at)
        for row in explanation.entries
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


def _unused(assignment: Assignment) -> str:
    reason = "is in another Domain" if assignment.enabled else "is disabled"
    return f"the relay on {assignment.host_node_id} {reason}"


def _node_json(node: DomainNode, addressed: str) -> dict[str, Any]:
    outcome, reason = peer_outcome(node, addressed)
    key = None if node.public_key is None else b64encode(node.public_key).decode("ascii")
    return {**asdict(node), "public_key": key, "outcome": outcome, "why": reason}
