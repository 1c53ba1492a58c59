"""Strategies for the values of a ledger.

Mostly drawn from the lists above: cheap, so that thousands of ledgers fit into a test run, and
each word was put there for a reason. Ranges are drawn besides, for what nobody thought of.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.ledger_words import (
    ADDRESSES,
    BAD_LINES,
    ENTRY_KEYS,
    HOSTS,
    KEYS,
    MOMENTS,
    NO_MOMENTS,
    NO_ROUTING_TEXTS,
    ROUTING_TEXTS,
    TEXTS,
)


def rarely(odd: Sequence[Any], usual: Sequence[Any], times: int = 12) -> SearchStrategy[Any]:
    """One of `odd` about once in `times`; shrinks towards the usual."""
    return st.sampled_from([*usual] * max(1, times * len(odd) // len(usual)) + [*odd])


def _moment(microseconds: int) -> str:
    return (datetime(1, 1, 1) + timedelta(microseconds=microseconds)).isoformat() + "Z"  # noqa: DTZ001


LAST_MICROSECOND = (datetime.max - datetime.min) // timedelta(microseconds=1)  # noqa: DTZ901
moments = st.one_of(rarely(NO_MOMENTS, MOMENTS, 40), st.integers(0, LAST_MICROSECOND).map(_moment))
good_moments = st.sampled_from(MOMENTS)
letters = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
texts = st.one_of(st.sampled_from(TEXTS), st.text(letters, max_size=6))
entry_keys = st.one_of(st.sampled_from(ENTRY_KEYS), st.text(letters, min_size=1, max_size=3))
addresses = st.one_of(
    st.sampled_from(ADDRESSES),
    st.integers(0, 2**32 - 1).map(lambda number: str(ipaddress.IPv4Address(number))),
    st.integers(0, 2**128 - 1).map(lambda number: str(ipaddress.IPv6Address(number))),
)
keys = st.one_of(st.sampled_from(KEYS), st.binary(min_size=32, max_size=32))
hosts = st.sampled_from(HOSTS)
ports = st.one_of(st.sampled_from([1, 443, 65535]), st.integers(1, 65535))

bad_lines = st.sampled_from(BAD_LINES)

scalars = st.one_of(
    st.sampled_from([None, True, False, 0, -1, 2**53 + 1, -(2**70), 10**30, 0.1, 1e16, 1e-7]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(letters, max_size=4),
)
free_form = st.dictionaries(
    st.text(letters, max_size=3),
    st.one_of(
        scalars,
        st.lists(scalars, max_size=3),
        st.dictionaries(st.text(letters, max_size=2), scalars, max_size=3),
    ),
    max_size=4,
)
routing_texts = st.one_of(
    rarely(NO_ROUTING_TEXTS, ROUTING_TEXTS, 20), free_form.map(lambda value: json.dumps(value))
)

# Nodes are drawn as places in the ledger's list of them: so every strategy is built once.
places = st.integers(0, 8)


def node_at(nodes: Sequence[str], place: int) -> str:
    """The Node (or whatever else is listed) at a drawn place."""
    return nodes[place % len(nodes)]
