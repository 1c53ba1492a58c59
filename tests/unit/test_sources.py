"""The source of a request: the peer, or the address that a trusted proxy names."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from server.gunicorn.sources import Sources, address_of

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("fields", "source"),
    [
        ([], "10.0.0.1"),
        (["192.0.2.7"], "192.0.2.7"),
        (["198.51.100.9, 192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, 10.0.0.2 , fd00::1"], "192.0.2.7"),
        (["198.51.100.9", "192.0.2.7"], "192.0.2.7"),
        (["10.0.0.3"], "10.0.0.1"),
        (["unknown"], "unknown"),
        ([" , "], "10.0.0.1"),
    ],
    ids=str,
)
def test_the_last_hop_that_is_no_proxy_is_the_source(fields: list[str], source: str) -> None:
    headers = [("X-FORWARDED-FOR", text) for text in fields]
    assert Sources(1, PROXIES).source_of("10.0.0.1", headers) == source


@pytest.mark.parametrize(
    ("address", "is_proxy"),
    [
        ("10.255.0.1", True),
        ("::ffff:10.0.0.1", True),
        ("fd00::1", True),
        ("192.0.2.7", False),
        ("::1", False),
        ("", False),
    ],
)
def test_a_proxy_is_known_by_its_network(address: str, is_proxy: bool) -> None:
    assert Sources(1, PROXIES).is_proxy(address) is is_proxy


def test_without_proxies_nobody_is_one() -> None:
    assert not Sources(1, ()).is_proxy("10.0.0.1")


def test_a_source_has_room_again_when_one_has_left() -> None:
    sources = Sources(2, ())
    assert [sources.enter("a") for _ in range(3)] == [True, True, False]
    assert sources.enter("b")
    sources.leave("a")
    assert sources.enter("a")


def test_a_peer_on_a_unix_socket_has_no_address() -> None:
    assert (address_of(("192.0.2.7", 1)), address_of(""), address_of(b"")) == ("192.0.2.7", "", "")
