"""The promises of every NodeRegistry (``composer.registry.NodeRegistry``)."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import pytest

from composer.credentials import SecretKey
from composer.errors import (
    DatastoreUnavailable,
    DomainNotFound,
    IdempotencyKeyConflict,
    NodeNotFound,
    NodeQuotaExceeded,
    PoolExhausted,
    PublicKeyInUse,
    PublicKeyRegistered,
)
from composer.registry import NewNode, NodeRegistry, RegisteredNode
from tests.factories import DOMAIN, WRITE, key_bytes, node_id, registration
from tests.ports.deadlines import expired, in_time

# Two Domains beside DOMAIN: one with two addresses, and one of IPv6.
SMALL = UUID("0190d000-0000-7000-8000-00000000ffff")
SIX = UUID("0190d000-0000-7000-8000-000000000006")
NODE_QUOTA = 6
RANGES = {DOMAIN: "10.42.0.0/16", SMALL: "10.43.0.0/30", SIX: "fd00:42::/64"}


def wanted(number: int, name: str = "") -> NewNode:
    return NewNode(key_bytes(number), name)


class NodeRegistryFacts(Protocol):
    """The Domains of ``RANGES``, without a Node; released addresses are held off. A Domain may have
    ``NODE_QUOTA`` Nodes."""

    registry: NodeRegistry

    def key_of(self, node: UUID) -> bytes | None:
        """The Node's key; None without such a Node."""
        ...

    def digests_of(self, node: UUID) -> tuple[bytes, ...]:
        """The digests of the Node's secret keys."""
        ...

    def time_passes(self) -> None:
        """Every hold-off is over."""
        ...

    def go_away(self) -> None:
        """From now on the store does not answer."""
        ...


class NodeRegistrySuite:
    """Override ``facts`` with a fixture."""

    @pytest.fixture
    def facts(self) -> NodeRegistryFacts:
        raise NotImplementedError

    def add(self, facts: NodeRegistryFacts, number: int, domain: UUID = DOMAIN) -> RegisteredNode:
        return facts.registry.register(domain, registration(wanted(number), None), WRITE, in_time())

    def test_nodes_get_the_lowest_free_addresses(self, facts: NodeRegistryFacts) -> None:
        made = [self.add(facts, number) for number in (1, 2, 3)]
        assert [node.mesh_ip for node in made] == ["10.42.0.1", "10.42.0.2", "10.42.0.3"]
        assert {node.domain_mesh_cidr for node in made} == {"10.42.0.0/16"}
        assert {(node.node_id.version, node.is_new) for node in made} == {(7, True)}
        assert [facts.key_of(node.node_id) for node in made] == [key_bytes(n) for n in (1, 2, 3)]

    def test_ipv6_has_a_lowest_address_too(self, facts: NodeRegistryFacts) -> None:
        made = [self.add(facts, number, SIX).mesh_ip for number in (1, 2)]
        assert made == ["fd00:42::1", "fd00:42::2"]

    def test_a_range_ends_before_its_last_address(self, facts: NodeRegistryFacts) -> None:
        assert [self.add(facts, n, SMALL).mesh_ip for n in (1, 2)] == ["10.43.0.1", "10.43.0.2"]
        with pytest.raises(PoolExhausted):
            self.add(facts, 3, SMALL)

    def test_a_domain_has_a_limited_number_of_nodes(self, facts: NodeRegistryFacts) -> None:
        made = [self.add(facts, number) for number in range(NODE_QUOTA)]
        with pytest.raises(NodeQuotaExceeded):
            self.add(facts, NODE_QUOTA)
        assert self.add(facts, NODE_QUOTA, SIX).is_new
        facts.registry.deregister(made[0].node_id, WRITE, in_time())
        assert self.add(facts, NODE_QUOTA).is_new

    def test_a_released_address_is_held_off_and_then_the_lowest(
        self, facts: NodeRegistryFacts
    ) -> None:
        first = self.add(facts, 1)
        self.add(facts, 2)
        facts.registry.deregister(first.node_id, WRITE, in_time())
        assert self.add(facts, 3).mesh_ip == "10.42.0.3"
        facts.time_passes()
        assert self.add(facts, 4).mesh_ip == "10.42.0.1"
        assert self.add(facts, 5).mesh_ip == "10.42.0.4"

    def test_a_full_range_has_room_again_after_the_hold_off(self, facts: NodeRegistryFacts) -> None:
        first, _ = (self.add(facts, number, SMALL) for number in (1, 2))
        facts.registry.deregister(first.node_id, WRITE, in_time())
        with pytest.raises(PoolExhausted):
            self.add(facts, 3, SMALL)
        facts.time_passes()
        assert self.add(facts, 3, SMALL).mesh_ip == "10.43.0.1"

    def test_a_public_key_of_the_domain_is_refused_and_gives_nothing(
        self, facts: NodeRegistryFacts
    ) -> None:
        first = self.add(facts, 1)
        for key in (None, "k"):
            with pytest.raises(PublicKeyRegistered):
                facts.registry.register(DOMAIN, registration(wanted(1), key), WRITE, in_time())
        assert facts.digests_of(first.node_id) == (registration(wanted(1)).secret_key_digest,)
        assert self.add(facts, 1, SIX).is_new

    def test_the_same_request_is_the_same_node(self, facts: NodeRegistryFacts) -> None:
        first, again = (
            facts.registry.register(DOMAIN, registration(wanted(1, "a"), "k"), WRITE, in_time())
            for _ in range(2)
        )
        assert (again.node_id, again.is_new) == (first.node_id, False)

    def test_the_same_request_finds_its_node_after_a_rotation(
        self, facts: NodeRegistryFacts
    ) -> None:
        first = facts.registry.register(DOMAIN, registration(wanted(1), "k"), WRITE, in_time())
        facts.registry.rotate_key(first.node_id, key_bytes(2), WRITE, in_time())
        again = facts.registry.register(DOMAIN, registration(wanted(1), "k"), WRITE, in_time())
        assert again.node_id == first.node_id

    @pytest.mark.parametrize("other", [wanted(2), wanted(1, "b")], ids=["key", "name"])
    def test_the_same_key_with_another_wish_is_a_conflict(
        self, facts: NodeRegistryFacts, other: NewNode
    ) -> None:
        facts.registry.register(DOMAIN, registration(wanted(1, "a"), "k"), WRITE, in_time())
        with pytest.raises(IdempotencyKeyConflict):
            facts.registry.register(DOMAIN, registration(other, "k"), WRITE, in_time())
        assert facts.registry.register(SIX, registration(other, "k"), WRITE, in_time()).is_new

    def test_the_same_request_of_another_subject_is_a_conflict(
        self, facts: NodeRegistryFacts
    ) -> None:
        facts.registry.register(DOMAIN, registration(wanted(1), "k", "user:ann"), WRITE, in_time())
        with pytest.raises(IdempotencyKeyConflict):
            facts.registry.register(
                DOMAIN, registration(wanted(1), "k", "user:bob"), WRITE, in_time()
            )

    def test_a_repeated_request_ends_the_credentials_of_the_answer_before(
        self, facts: NodeRegistryFacts
    ) -> None:
        first, again = (
            facts.registry.register(
                DOMAIN, registration(wanted(1), "k", secret=secret), WRITE, in_time()
            )
            for secret in (b"1" * 32, b"2" * 32)
        )
        assert first.tokens_not_before is None
        assert again.tokens_not_before is not None
        assert facts.digests_of(first.node_id) == (SecretKey(b"2" * 32).digest,)

    def test_a_key_lives_as_long_as_its_node(self, facts: NodeRegistryFacts) -> None:
        first = facts.registry.register(DOMAIN, registration(wanted(1), "k"), WRITE, in_time())
        facts.registry.deregister(first.node_id, WRITE, in_time())
        assert facts.registry.register(
            DOMAIN, registration(wanted(2), "k"), WRITE, in_time()
        ).is_new

    def test_a_domain_that_is_not_there_is_said_to_be(self, facts: NodeRegistryFacts) -> None:
        with pytest.raises(DomainNotFound):
            self.add(facts, 1, node_id(1))

    def test_a_deregistered_node_is_gone_and_may_be_again(self, facts: NodeRegistryFacts) -> None:
        made = self.add(facts, 1)
        for _ in range(2):
            facts.registry.deregister(made.node_id, WRITE, in_time())
        assert facts.key_of(made.node_id) is None
        assert self.add(facts, 1).is_new

    def test_a_rotation_says_whether_anything_changed(self, facts: NodeRegistryFacts) -> None:
        made = self.add(facts, 1)
        assert facts.registry.rotate_key(made.node_id, key_bytes(2), WRITE, in_time())
        assert not facts.registry.rotate_key(made.node_id, key_bytes(2), WRITE, in_time())
        assert facts.key_of(made.node_id) == key_bytes(2)

    def test_a_peers_key_is_in_use_and_a_strangers_is_not(self, facts: NodeRegistryFacts) -> None:
        made, _ = self.add(facts, 1), self.add(facts, 2)
        self.add(facts, 3, SIX)
        with pytest.raises(PublicKeyInUse):
            facts.registry.rotate_key(made.node_id, key_bytes(2), WRITE, in_time())
        assert facts.key_of(made.node_id) == key_bytes(1)
        assert facts.registry.rotate_key(made.node_id, key_bytes(3), WRITE, in_time())

    def test_a_node_that_is_not_there_has_no_key_to_rotate(self, facts: NodeRegistryFacts) -> None:
        with pytest.raises(NodeNotFound):
            facts.registry.rotate_key(node_id(9), key_bytes(1), WRITE, in_time())

    def test_a_store_that_is_away_is_said_to_be(self, facts: NodeRegistryFacts) -> None:
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            self.add(facts, 1)
        with pytest.raises(DatastoreUnavailable):
            facts.registry.deregister(node_id(1), WRITE, in_time())
        with pytest.raises(DatastoreUnavailable):
            facts.registry.rotate_key(node_id(1), key_bytes(1), WRITE, in_time())

    def test_without_time_left_no_address_is_taken(self, facts: NodeRegistryFacts) -> None:
        with pytest.raises(DatastoreUnavailable):
            facts.registry.register(DOMAIN, registration(wanted(1), None), WRITE, expired())
        assert self.add(facts, 2).mesh_ip == "10.42.0.1"
