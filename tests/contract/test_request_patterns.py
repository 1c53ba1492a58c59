"""The patterns of durations, ranges, keys and cursors: the code reads what they admit."""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address, ip_network
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from composer.durations import parse_duration
from composer.reachability import MAX_DURATION
from composer.registry import mesh_range, node_cursor, node_of_cursor, wireguard_key
from handlers.audit import cursor_of, seq_of
from handlers.refusals import Refused
from server.contract.document import Contract

COMPONENTS = Contract.packaged().document["components"]
SCHEMAS = COMPONENTS["schemas"]
DURATION, KEY = SCHEMAS["DurationRequest"], SCHEMAS["PublicKey"]
RANGE = SCHEMAS["DomainRequest"]["properties"]["mesh_cidr"]
CURSOR, AUDIT_CURSOR = COMPONENTS["parameters"]["Cursor"]["schema"], SCHEMAS["AuditCursorText"]
few = settings(max_examples=150, database=None, deadline=None)


def admits(schema: dict[str, object], text: str) -> bool:
    lengths = range(int(str(schema["minLength"])), int(str(schema["maxLength"])) + 1)
    return len(text) in lengths and bool(re.fullmatch(str(schema["pattern"])[1:-1], text))


def is_read(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except (ValueError, Refused):
        return False
    return True


def texts(schema: dict[str, object]) -> st.SearchStrategy[str]:
    pattern = str(schema["pattern"])
    return st.from_regex(pattern, fullmatch=True).filter(lambda text: admits(schema, text))


@few
@given(texts(DURATION))
def test_every_duration_that_the_contract_admits_is_read(text: str) -> None:
    assert parse_duration(text) >= timedelta(0)


@few
@given(st.text("0123456789.+hmsunµ-", max_size=6))
def test_a_duration_that_is_read_and_not_admitted_is_longer_than_any_may_be(text: str) -> None:
    if is_read(parse_duration, text) and not admits(DURATION, text):
        assert parse_duration(text) > MAX_DURATION


@few
@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**128 - 1))
def test_every_range_that_a_domain_may_have_is_admitted(four: int, prefix: int, six: int) -> None:
    for network in (ip_network((four, prefix), strict=False), ip_network((six, 4 * prefix), False)):
        text = str(network)
        assert not is_read(mesh_range, text) or admits(RANGE, text)


@few
@given(texts(RANGE))
def test_a_range_that_is_admitted_is_read_or_has_a_fault_of_ipv6(text: str) -> None:
    """Host bits, or more groups than there are."""
    assert is_read(mesh_range, text) or ":" in text


@few
@given(st.integers(0, 2**32 - 1), st.integers(8, 30))
def test_a_range_of_ipv4_with_host_bits_is_not_admitted(address: int, prefix: int) -> None:
    text = f"{ip_address(address)}/{prefix}"
    assert admits(RANGE, text) == is_read(mesh_range, text)


@few
@given(st.binary(min_size=31, max_size=33), st.integers(0, 2**63 - 1), st.uuids(), st.uuids())
def test_keys_and_cursors_are_admitted_where_they_are_read(
    raw: bytes, seq: int, domain_id: UUID, node_id: UUID
) -> None:
    key = b64encode(raw).decode()
    assert admits(KEY, key) == is_read(wireguard_key, key)
    assert admits(AUDIT_CURSOR, cursor_of(seq)) and seq_of(cursor_of(seq)) == seq
    assert admits(CURSOR, node_cursor(domain_id, node_id))


@few
@given(texts(AUDIT_CURSOR), texts(CURSOR), texts(KEY))
def test_keys_and_cursors_are_read_where_they_are_admitted(
    audit_cursor: str, cursor: str, key: str
) -> None:
    wireguard_key(key)
    assert cursor_of(seq_of(audit_cursor)) == audit_cursor
    domain_id = UUID(bytes=_decoded(cursor)[:16])
    assert node_cursor(domain_id, node_of_cursor(cursor, domain_id)) == cursor


def _decoded(cursor: str) -> bytes:
    return urlsafe_b64decode(f"{cursor}=")
