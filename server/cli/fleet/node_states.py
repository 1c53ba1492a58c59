"""The state of each Node: its last grant compared with its current digest."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from composer.errors import ComposerError
from db.fleet import FleetMoment, FleetNode, LastPull
from handlers.current_digests import CurrentDigests

if TYPE_CHECKING:
    from server.events.stream_list import StreamList

CURRENT, BEHIND, NEVER, CORRUPT = "current", "behind", "never", "corrupt"
STATES = (CURRENT, BEHIND, NEVER, CORRUPT)
# Between the newest grant and the newest heartbeat: five pulls of a healthy agent.
GAP = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A Node; times in whole seconds, digests in hex, None where there is none.

    ``behind_seconds`` is the longest time that the Node can have been without its desired state:
    what changed, changed after its last grant. For a Node that was never granted one, it is the
    time since its registration. ``silent_seconds`` is the time since its last grant,
    ``heartbeat_seconds`` since its last heartbeat.
    """

    node_id: str
    name: str
    state: str
    digest: str | None
    current_digest: str | None
    since: datetime | None
    granted_at: datetime | None
    silent_seconds: int | None
    behind_seconds: int | None
    heartbeat_at: datetime | None
    heartbeat_seconds: int | None

    def is_late(self, max_age: float) -> bool:
        """Whether it is without its desired state for longer than ``max_age`` seconds."""
        return self.behind_seconds is not None and self.behind_seconds > max_age


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """A Domain's Nodes, the worst first."""

    domain_id: str
    at: datetime
    max_age: float
    nodes: tuple[NodeStatus, ...]
    streams: StreamList | None = None  # None without an event bus, or while it is away

    @property
    def late(self) -> int:
        """The number of Nodes that are without their desired state for too long."""
        return sum(node.is_late(self.max_age) for node in self.nodes)

    @property
    def gap(self) -> str | None:
        """The reason why no grants, or no new grants, are recorded; None where they are.

        Grants come from the audit. An agent that sends heartbeats also pulls, every minute.
        """
        grants = [node.granted_at for node in self.nodes if node.granted_at is not None]
        heartbeats = [node.heartbeat_at for node in self.nodes if node.heartbeat_at is not None]
        if not grants:
            return "No grant is recorded of any Node: none has pulled yet, or the audit is off."
        if heartbeats and max(heartbeats) - max(grants) > GAP:
            return "Heartbeats arrive, and no grant was recorded since: the audit is off, or lags."
        return None

    def counts(self) -> dict[str, int]:
        """The number of Nodes in each state, zeros included."""
        numbers = Counter(node.state for node in self.nodes)
        return {state: numbers[state] for state in STATES}

    def to_json(self) -> dict[str, Any]:
        """The states as JSON, for scripts."""
        summary = {"nodes": len(self.nodes), **self.counts(), "late": self.late}
        return {
            "domain_id": self.domain_id,
            "at": self.at.isoformat(),
            "max_age_seconds": self.max_age,
            "summary": summary,
            "gap": self.gap,
            "streams": None if self.streams is None else asdict(self.streams),
            "nodes": [_json(node, self.max_age) for node in self.nodes],
        }


def fleet_status(
    moment: FleetMoment, max_age: float, streams: StreamList | None = None
) -> FleetStatus:
    """Every Node at this moment; ``max_age`` in seconds."""
    digests = CurrentDigests(moment.peer_table)
    nodes = [_status(node, digests, moment.at) for node in moment.nodes]
    return FleetStatus(
        domain_id=str(moment.domain_id),
        at=moment.at,
        max_age=max_age,
        nodes=tuple(sorted(nodes, key=_worst_first)),
        streams=streams,
    )


def _status(node: FleetNode, digests: CurrentDigests, at: datetime) -> NodeStatus:
    pull = node.last_pull
    state, current = _state(node, pull, digests)
    silent = None if pull is None else _seconds(at, pull.granted_at)
    without = _seconds(at, node.registered_at) if silent is None else silent
    heartbeat_at = node.heartbeat_at
    return NodeStatus(
        node_id=str(node.id),
        name=node.name,
        state=state,
        digest=None if pull is None else pull.digest,
        current_digest=current,
        since=None if pull is None else pull.since,
        granted_at=None if pull is None else pull.granted_at,
        silent_seconds=silent,
        behind_seconds=None if state == CURRENT else without,
        heartbeat_at=heartbeat_at,
        heartbeat_seconds=None if heartbeat_at is None else _seconds(at, heartbeat_at),
    )


def _state(
    node: FleetNode, pull: LastPull | None, digests: CurrentDigests
) -> tuple[str, str | None]:
    """The state, and the digest of a pull now: None where a pull of the Node is answered 500."""
    try:
        current = digests.digest(node.id, node)
        if pull is None:
            return NEVER, current
        same = pull.digest == current or digests.is_desired(pull.digest, node.id, node)
        return (CURRENT if same else BEHIND), current
    except ComposerError:
        return CORRUPT, None


def _worst_first(node: NodeStatus) -> tuple[bool, int, int, str]:
    """Corrupt Nodes first, because no pull repairs them; then by the time without the desired
    state, then by the time since the last grant."""
    behind = -1 if node.behind_seconds is None else node.behind_seconds
    return (node.state != CORRUPT, -behind, -(node.silent_seconds or 0), node.node_id)


def _seconds(later: datetime, earlier: datetime) -> int:
    return max(0, int((later - earlier).total_seconds()))


def _json(node: NodeStatus, max_age: float) -> dict[str, Any]:
    return {
        "node_id": node.node_id,
        "name": node.name,
        "state": node.state,
        "late": node.is_late(max_age),
        "digest": node.digest,
        "current_digest": node.current_digest,
        "since": node.since and node.since.isoformat(),
        "granted_at": node.granted_at and node.granted_at.isoformat(),
        "silent_seconds": node.silent_seconds,
        "behind_seconds": node.behind_seconds,
        "heartbeat_at": node.heartbeat_at and node.heartbeat_at.isoformat(),
        "heartbeat_seconds": node.heartbeat_seconds,
    }
