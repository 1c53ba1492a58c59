"""Gate 1: every hostile form of the Authorization header names nobody."""

import pytest

from server.authn.refusal import Refusal
from tests.hostile_tokens import ED, ES, NODE, NOW, RS, good
from tests.tokens import (
    Door,
)

GOOD = good()

HOSTILE_HEADERS: dict[str, tuple[list[str], Refusal]] = {
    "none": ([], Refusal.NO_HEADER),
    "two": ([f"Bearer {GOOD}", f"Bearer {GOOD}"], Refusal.SEVERAL_HEADERS),
    "one and an empty one": ([f"Bearer {GOOD}", ""], Refusal.SEVERAL_HEADERS),
    "two joined by a proxy": ([f"Bearer {GOOD}, Bearer {GOOD}"], Refusal.NOT_BEARER),
    "two joined without a space": ([f"Bearer {GOOD},Bearer {GOOD}"], Refusal.NOT_BEARER),
    "one joined with an empty one": ([f"Bearer {GOOD},"], Refusal.NOT_BEARER),
    "empty": ([""], Refusal.NOT_BEARER),
    "a bare scheme": (["Bearer"], Refusal.NOT_BEARER),
    "a bare scheme and a space": (["Bearer "], Refusal.NOT_BEARER),
    "no scheme": ([GOOD], Refusal.NOT_BEARER),
    "another scheme": ([f"Basic {GOOD}"], Refusal.NOT_BEARER),
    "a scheme that only begins so": ([f"Bearerx {GOOD}"], Refusal.NOT_BEARER),
    "a tab instead of a space": ([f"Bearer\t{GOOD}"], Refusal.NOT_BEARER),
    "no space": ([f"Bearer{GOOD}"], Refusal.NOT_BEARER),
    "two tokens": ([f"Bearer {GOOD} {GOOD}"], Refusal.NOT_BEARER),
    "a parameter": ([f'Bearer token="{GOOD}"'], Refusal.NOT_BEARER),
    "a line break": ([f"Bearer {GOOD}\n"], Refusal.NOT_BEARER),
    "a NUL": ([f"Bearer {GOOD}\0"], Refusal.NOT_BEARER),
    "beyond ASCII": ([f"Bearer {GOOD}é"], Refusal.NOT_BEARER),
    "full-width letters": ([f"Ｂearer {GOOD}"], Refusal.NOT_BEARER),
    "one byte too long": (["Bearer " + "A" * 4097], Refusal.TOO_LONG),
    "a megabyte": (["Bearer " + "A" * 2**20], Refusal.TOO_LONG),
    "a megabyte of spaces": (["Bearer" + " " * 2**20 + GOOD], Refusal.TOO_LONG),
}


@pytest.mark.parametrize("name", HOSTILE_HEADERS)
def test_hostile_headers_name_nobody_where_a_good_one_names_somebody(name: str) -> None:
    headers, reason = HOSTILE_HEADERS[name]
    door = Door(ED, ES, RS, now=NOW)
    assert door.ask(f"Bearer {GOOD}") == NODE
    assert door.ask(*headers) is None
    assert door.reasons == [reason]
