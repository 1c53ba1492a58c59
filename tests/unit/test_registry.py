"""The ranges, keys and cursors that the registry accepts."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from composer.registry import (
    NewDomain,
    NewNode,
    mesh_range,
    node_cursor,
    node_of_cursor,
    wireguard_key,
)
from tests.factories import DOMAIN, key_bytes, node_id


@pytest.mark.parametrize(
    "text",
    [
        *("10.0.0.0/8", "10.42.0.0/16", "10.42.0.4/30", "100.64.0.0/10", "192.0.2.0/24"),
        *("fd00::/32", "fd00:42::/64", "2001:db8::/32", "fd00::4/126"),
    ],
)
def test_a_range_of_a_mesh_is_itself(text: str) -> None:
    assert mesh_range(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/255.0.0.0", "010.0.0.0/8", " 10.0.0.0/8"),
        *("10.0.0.0/8\n", "10.0.0.0/08", "10.0.0.0/-8", "10.0.0.0/33", "mesh", "10/8"),
        *("8.0.0.0/7", "10.0.0.0/31", "10.0.0.0/32"),
        *("fd00::/31", "fd00::/127", "fd00::/128", "FD00::/64", "fd00:0::/64", "fd00::1/64"),
        *("0.0.0.0/8", "127.0.0.0/8", "127.1.0.0/16", "169.254.0.0/16", "169.0.0.0/8"),
        *("224.0.0.0/8", "240.0.0.0/8", "fe80::/64", "ff02::/64", "::/64", "::ffff:0:0/96"),
        "fd00::%1/64",
    ],
)
def test_what_is_no_range_for_a_mesh_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        mesh_range(text)


def test_a_key_is_the_32_bytes_it_spells() -> None:
    assert wireguard_key(base64.b64encode(key_bytes(1)).decode()) == key_bytes(1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        base64.b64encode(bytes(32)).decode(),
        base64.b64encode(key_bytes(1)[:31]).decode(),
        base64.b64encode(key_bytes(1) + b"x").decode(),
        "A" * 42 + "B=",  # stray last bits
        base64.b64encode(b"\xff" * 32).decode().replace("/", "_"),
        base64.b64encode(key_bytes(1)).decode() + "\n",
        "é" * 44,
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        wireguard_key(text)


def test_requests_mean_the_same_only_where_all_of_it_is_the_same() -> None:
    domain = NewDomain("a", "b", "10.0.0.0/8", None, "eu")
    others = [
        replace(domain, **{name: "x"})
        for name in ("name", "slug", "mesh_cidr", "description", "region")
    ]
    moved = NewDomain("a", "b", "10.0.0.0/8", "eu", None)
    assert len({request.request_hash for request in (domain, moved, *others)}) == 7
    assert domain.request_hash == replace(domain).request_hash
    nodes = [NewNode(key_bytes(1)), NewNode(key_bytes(2)), NewNode(key_bytes(1), "x")]
    assert len({request.request_hash for request in nodes}) == 3


def test_a_cursor_leads_back_to_its_node_and_in_its_domain_only() -> None:
    cursor = node_cursor(DOMAIN, node_id(1))
    assert node_of_cursor(cursor, DOMAIN) == node_id(1)
    for wrong in (
        *("", "x", cursor[:-1], cursor + "A", cursor[:-1] + "é", "!" * 43, cursor + "="),
        node_cursor(node_id(2), node_id(1)),
    ):
        with pytest.raises(ValueError):
            node_of_cursor(wrong, DOMAIN)
