"""The spelling of a Principal and of a Node's id: one for each."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.identity import NIL, Principal, PrincipalKind, node_object, parse_canonical_uuid

TEXT = "0190b2c4-8d5e-7a10-9c3f-5b6e7f8091a2"


def test_a_canonical_uuid_is_read() -> None:
    assert parse_canonical_uuid(TEXT) == UUID(TEXT)


def test_a_uuid_of_any_version_is_read() -> None:
    assert parse_canonical_uuid("f" * 8 + "-ffff-ffff-ffff-" + "f" * 12) == UUID(int=2**128 - 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        str(NIL),
        TEXT.upper(),
        TEXT.replace("a", "A", 1),
        f"{{{TEXT}}}",
        f"urn:uuid:{TEXT}",
        TEXT.replace("-", ""),
        f"{TEXT}\n",
        f"\n{TEXT}",
        f"{TEXT} ",
        f"{TEXT}\x00",
        TEXT[:-1],
        f"{TEXT}0",
        TEXT.replace("9", "g", 1),
        TEXT.replace("9", "\uff19", 1),
        TEXT.replace("-", "\u2010"),
        TEXT.replace("8d5e-7", "8-d5e7"),
        TEXT.replace("1", "\u0661"),
        f" {TEXT}",
        "not-a-uuid",
    ],
    ids=ascii,
)
def test_another_spelling_is_no_id(text: str) -> None:
    assert parse_canonical_uuid(text) is None


@given(st.uuids())
@settings(deadline=None, database=None, max_examples=50)
def test_what_python_prints_is_the_canonical_spelling(value: UUID) -> None:
    assert parse_canonical_uuid(str(value)) == value


@pytest.mark.parametrize("kind", ["node", "service", "user"])
def test_a_subject_is_its_kind_and_its_id(kind: str) -> None:
    assert Principal(PrincipalKind(kind), "x-1").subject == f"{kind}:x-1"


def test_there_are_four_kinds_of_principal() -> None:
    assert [str(kind) for kind in PrincipalKind] == ["node", "service", "user", "bootstrap-token"]


def test_a_node_is_named_as_tokens_and_tuples_name_it() -> None:
    assert node_object(UUID(TEXT)) == f"node:{TEXT}"
