"""A backlog becomes shorter with every turn of the relay, and a revocation does not wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from composer.deadline import Deadline
from composer.identity import domain_object, node_object
from server.authz.outbox_relay import SpiceDbOutboxRelay
from server.authz.tuples import Fence, RelationTuple, TupleWriter
from tests.fakes import FakeClock
from tests.integration.spicedb_parts import soon
from tests.outboxes import delete, new_domain, own_tuple, purge, touch, waiting, write_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.integration.outbox_parts import Following

pytest_plugins = (
    "tests.integration.ledger_fixtures",
    "tests.integration.spicedb_parts",
    "tests.integration.outbox_parts",
)

NODES = 100
CALL_SECONDS = 0.06
TURN_SECONDS = 4.0


class SlowWriter(TupleWriter):
    """Each call takes 60 ms of ``clock``."""

    clock = FakeClock()

    def tuples_of(self, resource: str, deadline: Deadline) -> list[RelationTuple]:
        self.clock.now += CALL_SECONDS
        return super().tuples_of(resource, soon())

    def write(
        self,
        touched: Sequence[RelationTuple],
        deleted: Sequence[RelationTuple],
        deadline: Deadline,
        fences: Sequence[Fence] = (),
    ) -> str | None:
        self.clock.now += CALL_SECONDS
        assert deadline.remaining() > 0
        return super().write(touched, deleted, soon(), fences)


def test_many_deleted_nodes_before_a_slow_spicedb(drained: Following) -> None:
    domain = domain_object(new_domain(drained.dsn))
    role = (domain, "editor", "user:ed")
    nodes = [uuid4() for _ in range(NODES)]
    tuples = [RelationTuple(*own_tuple(node)) for node in nodes]
    drained.spicedb.writer.touch([*tuples, RelationTuple(*role)], soon())
    for node in nodes:
        object = node_object(node)
        write_row(drained.dsn, object, purge(object), type="peer_removed")
    revoked = write_row(drained.dsn, domain, *delete(role), type="role_revoked")

    clock = SlowWriter.clock
    relay = SpiceDbOutboxRelay(
        drained.outbox, SlowWriter(drained.channel), lambda row, because: None, clock
    )
    left = [waiting(drained.dsn)]
    while left[-1]:
        relay.drain(200, Deadline.after(TURN_SECONDS, clock))
        left.append(waiting(drained.dsn))
        assert revoked not in left[-1]
        assert len(left[-1]) < len(left[-2])
    assert drained.taken() == set()


def test_a_role_on_a_node_is_sent_after_the_node_itself(drained: Following) -> None:
    node = uuid4()
    object = node_object(node)
    write_row(drained.dsn, object, *touch(own_tuple(node)), type="peer_added")
    write_row(drained.dsn, object, *delete(own_tuple(node)), type="role_revoked")
    assert drained.drain(limit=1) == 2
    assert drained.taken() == set()
