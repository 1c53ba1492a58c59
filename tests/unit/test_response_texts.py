"""A text with an ETag, such as the page's script, is validated once; every other text each time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from server.contract.document import Contract
from server.contract.schemas import Validator
from server.http.response_validation import Outgoing, ResponseValidator

CONTRACT = Contract.packaged()
HEADERS = {
    "etag": f'"{"a" * 43}"',
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    "x-correlation-id": "x",
}


def script(body: bytes) -> Outgoing:
    return Outgoing("GetDocsScript", 200, "text/javascript", HEADERS, body)


def metrics(body: bytes) -> Outgoing:
    return Outgoing("GetMetrics", 200, "text/plain", {"x-correlation-id": "x"}, body)


@pytest.fixture
def validated(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Every body that a validator saw."""
    seen: list[object] = []
    original = Validator.fault

    def counted(self: Validator, value: object) -> Any:
        if isinstance(value, str) and value.startswith("body"):
            seen.append(value)
        return original(self, value)

    monkeypatch.setattr(Validator, "fault", counted)
    yield seen


def test_a_text_that_comes_again_is_validated_once(validated: list[object]) -> None:
    validator = ResponseValidator(CONTRACT)
    found = [validator.breach(script(b"body 1")) for _ in range(3)]
    assert (found, validated) == ([None] * 3, ["body 1"])


def test_another_text_is_validated_even_when_warm(validated: list[object]) -> None:
    validator = ResponseValidator(CONTRACT)
    for body in (b"body 1", b"body 2"):
        validator.breach(script(body))
    assert validated == ["body 1", "body 2"]


@pytest.mark.parametrize("body", [b"", b"\xff"], ids=["empty", "no text"])
def test_an_unsound_text_is_caught_even_when_warm(body: bytes) -> None:
    validator = ResponseValidator(CONTRACT)
    validator.breach(script(b"body"))
    found = [validator.breach(script(body)) for _ in range(2)]
    assert None not in found


def test_a_text_of_one_operation_is_not_known_under_another() -> None:
    validator = ResponseValidator(CONTRACT)
    validator.breach(script(b"body"))
    style = Outgoing("GetDocsStyle", 200, "text/javascript", HEADERS, b"body")
    assert validator.breach(style) is not None


def test_a_text_without_an_etag_is_not_kept(validated: list[object]) -> None:
    validator = ResponseValidator(CONTRACT)
    for _ in range(2):
        validator.breach(metrics(b"body"))
    assert validated == ["body", "body"]
