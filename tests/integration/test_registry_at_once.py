"""Registrations that meet: no two Nodes get one address, no request makes two, no gap is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_address

import pytest

from composer.errors import ComposerError, MeshCidrOverlap, PublicKeyRegistered
from composer.registry import CreatedDomain, NewDomain, NewNode, RegisteredNode
from tests.factories import DOMAIN, WRITE, key_bytes, registration
from tests.integration.ledger_rows import Hand
from tests.integration.registry_parts import (
    HOLD_OFF,
    Registries,
    add_domain,
    addresses,
    forget,
    many_nodes,
    registries,
)
from tests.ports.deadlines import in_time
from tests.waiting import at_once

pytest_plugins = "tests.integration.ledger_fixtures"


@pytest.fixture
def hand(emptied: Hand) -> Hand:
    """On an empty ledger with one Domain."""
    forget(emptied)
    add_domain(emptied, DOMAIN, "10.42.0.0/16")
    return emptied


@pytest.fixture
def made(ledger_dsn: str, hand: Hand) -> Iterator[Registries]:
    with registries(ledger_dsn) as both:
        yield both


def registering(
    made: Registries, number: int, key: str | None = None
) -> Callable[[], RegisteredNode]:
    wanted = registration(NewNode(key_bytes(number)), key)
    return lambda: made.nodes.register(DOMAIN, wanted, WRITE, in_time())


def first_hosts(count: int, first: str = "10.42.0.1") -> list[str]:
    start = ip_address(first)
    return [str(start + number) for number in range(count)]


def test_32_at_once_get_the_lowest_addresses_each_another(hand: Hand, made: Registries) -> None:
    found = at_once([registering(made, number) for number in range(96)])
    assert sorted((node.mesh_ip for node in found), key=ip_address) == first_hosts(96)
    assert addresses(hand, DOMAIN) == first_hosts(96)
    assert len({node.node_id for node in found}) == 96


def test_10_000_nodes_of_another_hand_are_walked_past_once(hand: Hand, made: Registries) -> None:
    many_nodes(hand, DOMAIN, "10.42.0.1", 10_000)
    expected = first_hosts(64, "10.42.39.17")
    found = at_once([registering(made, 100_000 + number) for number in range(64)])
    assert sorted((node.mesh_ip for node in found), key=ip_address) == expected
    looked_to = hand.run("SELECT host(next_address) FROM plexsphere.domains")
    assert looked_to == [("10.42.39.81",)]


def test_a_gap_that_another_hand_left_is_filled_first(hand: Hand, made: Registries) -> None:
    many_nodes(hand, DOMAIN, "10.42.0.1", 3)
    many_nodes(hand, DOMAIN, "10.42.0.6", 3)
    hand.insert("nodes", id=key_bytes(1).hex()[:32], domain_id=DOMAIN, mesh_ip="10.42.0.7/8")
    found = [registering(made, 500 + number)().mesh_ip for number in range(3)]
    assert found == ["10.42.0.4", "10.42.0.5", "10.42.0.9"]


def test_16_times_the_same_request_is_one_node(hand: Hand, made: Registries) -> None:
    found = at_once([registering(made, 1, "same") for _ in range(16)])
    assert len({node.node_id for node in found}) == 1
    assert [node.is_new for node in found].count(True) == 1
    assert addresses(hand, DOMAIN) == ["10.42.0.1"]
    assert len(hand.run("SELECT * FROM plexsphere.outbox")) == 1


def test_of_16_requests_with_one_public_key_one_gets_the_node(hand: Hand, made: Registries) -> None:
    def is_registered(number: int) -> bool:
        try:
            return registering(made, 1, f"request-{number}")().is_new
        except PublicKeyRegistered:
            return False

    found = at_once([partial(is_registered, number) for number in range(16)])
    assert found.count(True) == 1
    assert addresses(hand, DOMAIN) == ["10.42.0.1"]


def test_nodes_that_come_and_go_at_once_leak_no_address(hand: Hand, made: Registries) -> None:
    def come_and_go(number: int) -> str:
        node = registering(made, number)()
        made.nodes.deregister(node.node_id, WRITE, in_time())
        return node.mesh_ip

    used = at_once([lambda number=number: come_and_go(number) for number in range(64)])
    assert sorted(used, key=ip_address) == first_hosts(64)
    made.time.passes(HOLD_OFF)
    again = at_once([registering(made, 1_000 + number) for number in range(64)])
    assert sorted((node.mesh_ip for node in again), key=ip_address) == first_hosts(64)
    assert hand.run("SELECT * FROM plexsphere.released_addresses") == []


def test_of_overlapping_domains_created_at_once_one_is_there(hand: Hand, made: Registries) -> None:
    hand.run("DELETE FROM plexsphere.domains")
    wide = [lambda number=number: create_wide(made, number) for number in range(16)]
    found = at_once(wide)
    assert [result is not None for result in found].count(True) == 1


def create_wide(made: Registries, number: int) -> CreatedDomain | None:
    wanted = NewDomain("x", f"x-{number}", f"10.0.0.0/{8 + number}")
    try:
        return made.domains.create(wanted, None, WRITE, in_time())
    except MeshCidrOverlap:
        return None


def test_a_domain_that_goes_while_nodes_come_is_gone_or_has_them_all(
    hand: Hand, made: Registries
) -> None:
    def register(number: int) -> bool:
        try:
            return registering(made, number)().is_new
        except ComposerError:
            return False

    def delete() -> bool:
        try:
            made.domains.delete(DOMAIN, WRITE, in_time())
        except ComposerError:
            return False
        return True

    jobs: list[Callable[[], bool]] = [lambda number=number: register(number) for number in range(8)]
    registered = at_once([*jobs, delete, delete])
    left = len(addresses(hand, DOMAIN))
    assert left == registered[:8].count(True)
    is_there = hand.run("SELECT id FROM plexsphere.domains") != []
    assert is_there == (left > 0) == (not any(registered[8:]))
