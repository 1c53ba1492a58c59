"""The gates as a table: every combination of port outcomes (docs/design.md, Gates)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from uuid import UUID

import pytest

from composer.audit import AuditRow
from composer.errors import (
    AuthzUnavailable,
    ComposerError,
    CorruptLedger,
    DatastoreUnavailable,
    NodeNotFound,
    ZeroNodeId,
)
from composer.identity import Principal
from handlers.answers import Answer
from handlers.node_state import PullPorts, get_node_state
from handlers.refusals import (
    AUTHZ_UNAVAILABLE,
    DATASTORE_UNAVAILABLE,
    INSUFFICIENT_RELATION,
    INTERNAL,
    INVALID_NODE_ID,
    NODE_NOT_FOUND,
    UNAUTHORIZED,
    RefusalKind,
    Refused,
)
from tests.factories import CORRELATION, DOMAIN, addressed, agent_of, call, node_id, snapshot
from tests.fakes import FakeAuditSink, FakeNodeRepo, FakeRelationChecker, FakeSnapshotProvider

NODE = node_id(1)
TOKEN = "GgQKAggB"
PRINCIPALS = {"none": None, "known": agent_of(1)}
IDS = {
    "canonical": str(NODE),
    "upper": str(NODE).upper(),
    "nil": str(UUID(int=0)),
    "garbage": "not-a-uuid",
}
MISSPELT = {
    "braces": f"{{{NODE}}}",
    "urn": NODE.urn,
    "hex": NODE.hex,
    "newline": f"{NODE}\n",
    "space": f" {NODE}",
    "empty": "",
    "arabic digits": str(NODE).replace("1", "\u0661"),
    "one hyphen moved": "0190b2c48-d5e-7000-8000-000000000001",
    "10 kB": "0" * 10_000,
    "NUL": f"{NODE}\0",
}
CHECKS = {
    "yes": True,
    "no": False,
    "unavailable": AuthzUnavailable("SpiceDB is away"),
    "other": ComposerError("odd"),
}
LOOKUPS = {
    "without token": None,
    "at least yes": True,
    "at least no": False,
    "at least unavailable": AuthzUnavailable("SpiceDB is away"),
    "at least other": ComposerError("odd"),
    "not found": NodeNotFound("gone"),
    "unavailable": DatastoreUnavailable("Postgres is away"),
    "corrupt": CorruptLedger("odd row"),
    "other": ComposerError("odd"),
}
COMPOSITIONS = {
    "ok": None,
    "not found": NodeNotFound("gone meanwhile"),
    "unavailable": DatastoreUnavailable("Postgres is away"),
    "corrupt": CorruptLedger("policy_id=1 reason=fingerprint_mismatch"),
    "zero node": ZeroNodeId("nil"),
    "other": ComposerError("odd"),
}
TABLE = list(product(PRINCIPALS, IDS, CHECKS, LOOKUPS, COMPOSITIONS))


@dataclass(frozen=True)
class Expected:
    """A refusal, or None for a 200; which ports were asked; the outcomes audited."""

    refusal: RefusalKind | None
    asked: tuple[str, ...]
    audited: tuple[str, ...] = ()


def expected(principal: str, node: str, check: str, lookup: str, composition: str) -> Expected:
    """The gate table of docs/design.md, read from top to bottom."""
    if principal == "none":
        return Expected(UNAUTHORIZED, ())
    if node != "canonical":
        return Expected(INVALID_NODE_ID, ())
    asked: tuple[str, ...] = ("check",)
    if check == "no":
        return Expected(INSUFFICIENT_RELATION, asked, ("insufficient_relation",))
    if check != "yes":
        return Expected({"unavailable": AUTHZ_UNAVAILABLE, "other": INTERNAL}[check], asked)
    asked += ("lookup",)
    lookups = {
        "not found": NODE_NOT_FOUND,
        "unavailable": DATASTORE_UNAVAILABLE,
        "corrupt": INTERNAL,
        "other": INTERNAL,
    }
    if lookup in lookups:
        return Expected(lookups[lookup], asked)
    if lookup != "without token":
        asked += ("check_at_least",)
    if lookup == "at least no":
        return Expected(INSUFFICIENT_RELATION, asked, ("insufficient_relation",))
    if lookup == "at least unavailable":
        return Expected(AUTHZ_UNAVAILABLE, asked)
    if lookup == "at least other":
        return Expected(INTERNAL, asked)
    asked += ("compose",)
    compositions = {"not found": NODE_NOT_FOUND, "unavailable": DATASTORE_UNAVAILABLE}
    if composition != "ok":
        return Expected(compositions.get(composition, INTERNAL), asked)
    return Expected(None, asked, ("granted",))


class Arranged:
    """The ports of one row of the table."""

    def __init__(self, check: str, lookup: str, composition: str) -> None:
        triple = (agent_of(1).subject, "node-agent", f"node:{NODE}")
        found, composed = LOOKUPS[lookup], COMPOSITIONS[composition]
        again = lookup.startswith("at least")
        self.relations = FakeRelationChecker(
            grants={triple} if CHECKS[check] is True else set(),
            revoked_at_least={triple} if found is False else set(),
            fails=CHECKS[check] if isinstance(CHECKS[check], Exception) else None,
            fails_at_least=found if again and isinstance(found, Exception) else None,
        )
        self.nodes = FakeNodeRepo(
            {NODE: addressed(1, TOKEN if again else None)},
            fails=found if isinstance(found, Exception) and not again else None,
        )
        self.snapshots = FakeSnapshotProvider({(NODE, DOMAIN): snapshot()}, fails=composed)
        self.audit = FakeAuditSink()
        self.ports = PullPorts(self.relations, self.nodes, self.snapshots, self.audit)

    def pull(self, principal: Principal | None, node: str) -> Answer | RefusalKind:
        try:
            return get_node_state(self.ports, call(principal), node)
        except Refused as refused:
            return refused.kind

    def asked(self) -> tuple[str, ...]:
        """What was asked how often, in the order of the gates."""
        return (
            ("check",) * len(self.relations.calls)
            + ("lookup",) * len(self.nodes.calls)
            + ("check_at_least",) * len(self.relations.calls_at_least)
            + ("compose",) * len(self.snapshots.calls)
        )


def test_the_table_is_every_combination() -> None:
    sizes = [len(one) for one in (PRINCIPALS, IDS, CHECKS, LOOKUPS, COMPOSITIONS)]
    assert (len(TABLE), sizes) == (1728, [2, 4, 4, 9, 6])


def test_every_row_of_the_gate_table_is_reached() -> None:
    reached = {expected(*row).refusal for row in TABLE}
    assert reached == {
        None,
        UNAUTHORIZED,
        INVALID_NODE_ID,
        INSUFFICIENT_RELATION,
        AUTHZ_UNAVAILABLE,
        NODE_NOT_FOUND,
        DATASTORE_UNAVAILABLE,
        INTERNAL,
    }


@pytest.mark.parametrize(("principal", "node", "check"), list(product(PRINCIPALS, IDS, CHECKS)))
def test_each_combination_ends_as_the_gate_table_says(
    principal: str, node: str, check: str
) -> None:
    wrong = {}
    for lookup, composition in product(LOOKUPS, COMPOSITIONS):
        arranged = Arranged(check, lookup, composition)
        ended = arranged.pull(PRINCIPALS[principal], IDS[node])
        saw = Expected(
            None if isinstance(ended, Answer) else ended,
            arranged.asked(),
            tuple(one.outcome for one in arranged.audit.rows),
        )
        if saw != (wanted := expected(principal, node, check, lookup, composition)):
            wrong[lookup, composition] = (saw, wanted)
    assert wrong == {}


@pytest.mark.parametrize("spelling", MISSPELT)
def test_another_spelling_of_an_id_names_no_node(spelling: str) -> None:
    arranged = Arranged("yes", "without token", "ok")
    ended = arranged.pull(agent_of(1), MISSPELT[spelling])
    assert (ended, arranged.asked(), arranged.audit.rows) == (INVALID_NODE_ID, (), [])


def test_gate_2_asks_for_the_relation_in_the_spelling_of_the_wire() -> None:
    arranged = Arranged("yes", "at least yes", "ok")
    arranged.pull(agent_of(1), str(NODE))
    question = (f"node:{NODE}", "node-agent", f"node:{NODE}")
    assert (arranged.relations.calls, arranged.relations.calls_at_least) == (
        [question],
        [(*question, TOKEN)],
    )


def test_gate_4_composes_for_the_node_and_the_domain_of_gate_3() -> None:
    arranged = Arranged("yes", "without token", "ok")
    arranged.pull(agent_of(1), str(NODE))
    assert arranged.snapshots.calls == [(NODE, DOMAIN)]


@pytest.mark.parametrize(
    ("check", "lookup"), [("no", "without token"), ("yes", "at least no")], ids=["2", "3"]
)
def test_a_refused_relation_is_audited_without_a_digest(check: str, lookup: str) -> None:
    arranged = Arranged(check, lookup, "ok")
    arranged.pull(agent_of(1), str(NODE))
    assert arranged.audit.rows == [
        AuditRow(
            relation="node_state.pull",
            outcome="insufficient_relation",
            subject=f"node:{NODE}",
            object=f"node:{NODE}",
            correlation_id=CORRELATION,
            digest=None,
        )
    ]


def test_a_stranger_is_refused_alike_for_a_real_and_an_unreal_node() -> None:
    arranged = Arranged("no", "without token", "ok")
    real = arranged.pull(agent_of(2), str(NODE))
    unreal = arranged.pull(agent_of(2), str(node_id(77)))
    assert real is unreal is INSUFFICIENT_RELATION
