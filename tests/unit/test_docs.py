"""The pages: every path, link and heading that is named exists.

A page is every Markdown file of the repository's root and of docs/. The changelog is about the past
and may name what is gone.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAST = {"CHANGELOG.md"}
ROOMS = "api|composer|db|deploy|docs|handlers|server|tests"
# A path: a folder of ours, and what follows it up to the end of the word.
NAMED = re.compile(rf"(?<![\w./-])(?:{ROOMS})/[\w./*<>{{}}-]*[\w/*>}}]")
LINK = re.compile(r"\]\(([^)\s]+)\)")
TEST = re.compile(r"\b(tests/[\w/]+\.py)::(test_\w+)")
CITED = re.compile(r"docs/design\.md, ([A-Z][\w' -]*?)(?=[).,;:`\"]|$)", re.MULTILINE)
# Documents that no clone holds, and bare numbers of decisions.
ELSEWHERE = re.compile(
    r"(?<![\w-])(?:contract|house)\.md|\bthe seed's\b|\bdesign\.md [0-9]|\(D[0-9]+(?:, D[0-9]+)*\)"
)
# The page itself, this test, and applied migrations, which must not change.
MAY_CITE = ("docs/design.md", "tests/unit/test_docs.py", "db/migrations/", "db/schema.sql")


@cache
def tracked() -> tuple[str, ...]:
    """Every file of the repository as git knows it."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return tuple(name for name in done.stdout.decode().split("\0") if name)


def pages() -> list[str]:
    found = [
        name
        for name in tracked()
        if name.endswith(".md") and ("/" not in name or name.startswith("docs/"))
    ]
    return [name for name in found if name not in PAST and (ROOT / name).exists()]


def exists(path: str) -> bool:
    """A path with a placeholder or a star stands for all that fit it."""
    pattern = re.sub(r"<[^>]*>|\{[^}]*\}", "*", path.rstrip("/"))
    return any(ROOT.glob(pattern)) if "*" in pattern else (ROOT / pattern).exists()


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def wrong_paths(text: str) -> list[str]:
    return sorted({path for path in NAMED.findall(text) if not exists(path)})


def broken_links(page: str, text: str) -> Iterator[str]:
    for link in LINK.findall(re.sub(r"`[^`]*`", "", text)):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if "://" not in link and not (target.exists() and has_anchor(target, anchor)):
            yield link


def has_anchor(target: Path, anchor: str) -> bool:
    return not anchor or anchor in anchors(target.read_text())


def foreign_citations(text: str) -> list[str]:
    return [found.group().strip() for found in ELSEWHERE.finditer(text)]


def test_there_are_pages() -> None:
    assert {"README.md", "docs/design.md", "docs/glossary.md", "docs/runbook.md"} <= set(pages())


@pytest.mark.parametrize("page", pages())
def test_every_path_that_a_page_names_exists(page: str) -> None:
    assert wrong_paths((ROOT / page).read_text()) == []


def test_a_path_that_is_gone_is_named() -> None:
    text = "see `server/nowhere.py`, `docs/design.md` and db/queries/no*thing.sql"
    assert wrong_paths(text) == ["db/queries/no*thing.sql", "server/nowhere.py"]


@pytest.mark.parametrize("page", pages())
def test_every_link_into_the_repository_leads_somewhere(page: str) -> None:
    assert list(broken_links(page, (ROOT / page).read_text())) == []


def test_a_broken_link_is_named() -> None:
    text = "[a](design.md#gates) [b](design.md#no-such) [c](nowhere.md) [d](https://x.example/)"
    assert list(broken_links("docs/glossary.md", text)) == ["design.md#no-such", "nowhere.md"]


@pytest.mark.parametrize("page", pages())
def test_every_test_that_a_page_names_exists(page: str) -> None:
    assert missing_tests((ROOT / page).read_text()) == []


def test_a_test_that_is_gone_is_named() -> None:
    sound = "tests/unit/test_docs.py::test_there_are_pages"
    gone = ["tests/unit/test_docs.py::test_there_are", "tests/unit/test_no.py::test_a"]
    assert missing_tests(" ".join([sound, *gone])) == gone


def missing_tests(text: str) -> list[str]:
    named = sorted(set(TEST.findall(text)))
    return [f"{path}::{name}" for path, name in named if not has_test(ROOT / path, name)]


def has_test(path: Path, name: str) -> bool:
    return path.exists() and f"def {name}(" in path.read_text()


def test_every_threat_names_a_test_or_is_open() -> None:
    text = (ROOT / "docs/threat-model.md").read_text()
    threats = re.findall(r"^\| (?!threat |---)(.+) \|$", text, re.MULTILINE)
    assert len(threats) > 40
    assert [row for row in threats if not TEST.search(row) and "**open**: " not in row] == []


def test_every_citation_of_the_design_names_a_heading_or_a_decision() -> None:
    design = (ROOT / "docs/design.md").read_text()
    headings = set(re.findall(r"^## (.+)$|^\| (D\d+) \|", design, re.MULTILINE))
    headings = {heading or number for heading, number in headings}
    cited = {
        (name, section)
        for name in code_files()
        for section in CITED.findall(" ".join((ROOT / name).read_text().split()))
    }
    assert {"Gates", "Relationships"} <= {section for _, section in cited}
    assert sorted((name, section) for name, section in cited if section not in headings) == []


def code_files() -> list[str]:
    kinds = (".py", ".sql", ".yaml", ".toml", ".zed", ".sh", ".cfg", ".md", "Makefile")
    return [name for name in tracked() if name.endswith(kinds) and (ROOT / name).exists()]


def test_nothing_cites_a_document_that_no_clone_holds() -> None:
    found = {
        name: foreign_citations((ROOT / name).read_text())
        for name in code_files()
        if not name.startswith(MAY_CITE)
    }
    assert {name: cited for name, cited in found.items() if cited} == {}


@pytest.mark.parametrize(
    "text", ["(design.md 4)", "contract.md 1.2", "one moment (D6).", "house.md"]
)
def test_a_foreign_citation_is_seen(text: str) -> None:
    assert foreign_citations(f"# as {text}")


def test_the_index_of_decisions_has_every_decision_under_its_title() -> None:
    folder = ROOT / "docs" / "decisions"
    titles = {
        path.name: path.read_text().splitlines()[0].removeprefix("# ")
        for path in sorted(folder.glob("[0-9]*.md"))
    }
    rows = re.findall(
        r"^\| \[(\d{4})\]\(([^)]+)\) \| ([^|]+) \|",
        (folder / "README.md").read_text(),
        re.MULTILINE,
    )
    assert len(titles) > 20
    assert {name: f"{number}: {title}" for number, name, title in rows} == titles


def test_the_glossary_is_in_alphabetical_order() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text()
    terms = [
        term.lower() for term in re.findall(r"^\| (?!term )([^|-][^|]*) \|", text, re.MULTILINE)
    ]
    assert len(terms) > 50
    assert terms == sorted(set(terms))
