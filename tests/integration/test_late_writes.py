"""A write that the network delivers late undoes no later decision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from composer.errors import AuthzUnavailable
from composer.identity import domain_object, node_object
from db.bulk import last_changes
from server.authz.channel import SpiceDbChannel
from server.authz.endpoint import SpiceDbEndpoint
from server.authz.outbox_relay import SpiceDbOutboxRelay
from server.authz.tuples import RelationTuple, TupleWriter, fence_tuple
from server.dev.ports import HOST
from tests.integration.marked_proxy import LateRequest, MarkedProxy
from tests.integration.spicedb_parts import KEY, soon
from tests.outboxes import delete, new_domain, own_tuple, purge, touch

if TYPE_CHECKING:
    from tests.integration.outbox_parts import Following

pytest_plugins = (
    "tests.integration.ledger_fixtures",
    "tests.integration.spicedb_parts",
    "tests.integration.outbox_parts",
)


@contextmanager
def delivered_late(both: Following, object: str, marker: str) -> Iterator[LateRequest]:
    """A request delivers the rows about ``object``, and gives up: the write is in the network."""
    proxy = MarkedProxy(HOST, both.spicedb.port)
    late = proxy.delay(marker.encode())
    endpoint = SpiceDbEndpoint(f"{HOST}:{proxy.port}", KEY, insecure=True)
    with closing(proxy), closing(SpiceDbChannel(endpoint, timeout=2.0)) as channel:
        request = SpiceDbOutboxRelay(both.outbox, TupleWriter(channel), lambda row, because: None)
        with pytest.raises(AuthzUnavailable):
            request.deliver(object, soon())
        yield late


def test_a_late_grant_does_not_undo_a_revocation(drained: Following) -> None:
    domain = domain_object(new_domain(drained.dsn))
    role = (domain, "editor", f"user:{uuid4().hex}")
    drained.write(domain, *touch(role))
    with delivered_late(drained, domain, role[2].removeprefix("user:")) as network:
        assert drained.drain() == 1
        drained.write(domain, *delete(role))
        assert drained.drain() == 1
        network.deliver()
    assert role not in drained.taken()


def test_a_late_registration_does_not_bring_a_deleted_node_back(drained: Following) -> None:
    """The number of its last change outlives the Node."""
    node = uuid4()
    object = node_object(node)
    drained.write(object, *touch(own_tuple(node)))
    with delivered_late(drained, object, str(node)) as network:
        drained.write(object, purge(object))
        assert drained.drain() == 2
        network.deliver()
    assert drained.taken() == set()


def test_a_late_revocation_does_not_undo_a_grant(drained: Following) -> None:
    domain = domain_object(new_domain(drained.dsn))
    role = (domain, "editor", f"user:{uuid4().hex}")
    drained.write(domain, *touch(role))
    assert drained.drain() == 1
    drained.write(domain, *delete(role))
    with delivered_late(drained, domain, role[2].removeprefix("user:")) as network:
        drained.write(domain, *touch(role))
        assert drained.drain() == 2
        network.deliver()
    assert role in drained.taken()


def test_a_write_that_came_in_before_its_retry_stops_no_retry(drained: Following) -> None:
    """SpiceDB then knows a later number than the ledger."""
    domain = domain_object(new_domain(drained.dsn))
    first, second = ((domain, "editor", f"user:{uuid4().hex}") for _ in range(2))
    drained.write(domain, *touch(first))
    with delivered_late(drained, domain, first[2].removeprefix("user:")) as network:
        network.deliver()
    drained.write(domain, *touch(second), *delete(first))
    assert drained.drain() == 2
    assert drained.taken() == {second}
    assert last_changes(drained.dsn) == [(domain, 2)]


def test_a_spicedb_that_is_filled_anew_refuses_a_late_write_too(drained: Following) -> None:
    domain = domain_object(new_domain(drained.dsn))
    role = (domain, "editor", f"user:{uuid4().hex}")
    drained.write(domain, *touch(role))
    with delivered_late(drained, domain, role[2].removeprefix("user:")) as network:
        drained.write(domain, *delete(role))
        assert drained.drain() == 2
        writer = drained.spicedb.writer
        numbers = [fence_tuple(*change) for change in last_changes(drained.dsn)]
        writer.delete([*numbers, RelationTuple(*role)], soon())
        writer.touch(numbers, soon())
        network.deliver()
    assert role not in drained.taken()
