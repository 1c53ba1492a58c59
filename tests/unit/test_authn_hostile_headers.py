"""Gate 1: every hostile form of the Authorization header names nobody."""

import pytest

from server.authn.tokens import TokenFault
from tests.hostile_tokens import ED, ES, NODE, NOW, RS, good
from tests.tokens import (
    Door,
)

GOOD = good()

HOSTILE_HEADERS: dict[str, tuple[list[str], TokenFault]] = {
    "none": ([], TokenFault.NO_HEADER),
    "two": ([f"Bearer {GOOD}", f"Bearer {GOOD}"], TokenFault.SEVERAL_HEADERS),
    "one and an empty one": ([f"Bearer {GOOD}", ""], TokenFault.SEVERAL_HEADERS),
    "two joined by a proxy": ([f"Bearer {GOOD}, Bearer {GOOD}"], TokenFault.NOT_BEARER),
    "two joined without a space": ([f"Bearer {GOOD},Bearer {GOOD}"], TokenFault.NOT_BEARER),
    "one joined with an empty one": ([f"Bearer {GOOD},"], TokenFault.NOT_BEARER),
    "empty": ([""], TokenFault.NOT_BEARER),
    "a bare scheme": (["Bearer"], TokenFault.NOT_BEARER),
    "a bare scheme and a space": (["Bearer "], TokenFault.NOT_BEARER),
    "no scheme": ([GOOD], TokenFault.NOT_BEARER),
    "another scheme": ([f"Basic {GOOD}"], TokenFault.NOT_BEARER),
    "a scheme that only begins so": ([f"Bearerx {GOOD}"], TokenFault.NOT_BEARER),
    "a tab instead of a space": ([f"Bearer\t{GOOD}"], TokenFault.NOT_BEARER),
    "no space": ([f"Bearer{GOOD}"], TokenFault.NOT_BEARER),
    "two tokens": ([f"Bearer {GOOD} {GOOD}"], TokenFault.NOT_BEARER),
    "a parameter": ([f'Bearer token="{GOOD}"'], TokenFault.NOT_BEARER),
    "a line break": ([f"Bearer {GOOD}\n"], TokenFault.NOT_BEARER),
    "a NUL": ([f"Bearer {GOOD}\0"], TokenFault.NOT_BEARER),
    "beyond ASCII": ([f"Bearer {GOOD}é"], TokenFault.NOT_BEARER),
    "full-width letters": ([f"Ｂearer {GOOD}"], TokenFault.NOT_BEARER),
    "one byte too long": (["Bearer " + "A" * 4097], TokenFault.TOO_LONG),
    "a megabyte": (["Bearer " + "A" * 2**20], TokenFault.TOO_LONG),
    "a megabyte of spaces": (["Bearer" + " " * 2**20 + GOOD], TokenFault.TOO_LONG),
}


@pytest.mark.parametrize("name", HOSTILE_HEADERS)
def test_hostile_headers_name_nobody_where_a_good_one_names_somebody(name: str) -> None:
    headers, reason = HOSTILE_HEADERS[name]
    door = Door(ED, ES, RS, now=NOW)
    assert door.ask(f"Bearer {GOOD}") == NODE
    assert door.ask(*headers) is None
    assert door.reasons == [reason]
