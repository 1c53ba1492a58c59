"""Names and docstrings say the noun, in every Python file of the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("composer", "db", "deploy", "docs", "handlers", "server", "tests")
FAULTS = {
    "a loop variable must be a noun": re.compile(r"\bfor (?:\w+, )*one(?:, \w+)* in\b"),
    "a docstring must begin with its subject": re.compile(
        r'^\s*[rf]?"""(?:What|Who|Which|Whose|How|Whatever|Whoever)\b', re.MULTILINE
    ),
}
# The rooms of the product. Docstrings of tests may still begin so.
PRODUCT = ("composer", "db", "deploy", "handlers", "server")
PRODUCT_FAULTS = {
    "a docstring must say its noun or verb first": re.compile(
        r'^\s*"""(?:Those|Until|As|For|By|Of|None|May|From)\b', re.MULTILINE
    ),
}
PLANTED = (
    '"""What a pull costs."""',
    '"""For people."""',
    "[one.name for one in nodes]",
    "for key, one in pairs:\n",
)


def complaints(name: str, text: str) -> Iterator[str]:
    faults = FAULTS | PRODUCT_FAULTS if name.startswith(PRODUCT) else FAULTS
    for complaint, pattern in faults.items():
        for match in pattern.finditer(text):
            yield f"{name}:{text[: match.end()].count(chr(10)) + 1}: {complaint}"


def test_no_file_has_a_fault() -> None:
    files = [ROOT / "wsgi.py", *(file for room in FOLDERS for file in (ROOT / room).rglob("*.py"))]
    assert len(files) > 500
    texts = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in files}
    del texts["tests/unit/test_plain_english.py"]
    assert [line for name, text in texts.items() for line in complaints(name, text)] == []


@pytest.mark.parametrize("text", PLANTED)
def test_a_planted_fault_is_named_with_its_line(text: str) -> None:
    (complaint,) = complaints("server/x.py", f"\n{text}")
    assert complaint.startswith("server/x.py:2: ")
