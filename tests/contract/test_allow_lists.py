"""Every list of what is excused, pinned: it may only shrink.

An entry more fails by name, and so does a pin more (`test_pins.py`). An entry that is gone fails
too, until its pin goes with it, so that it cannot come back unseen. Which libraries are imported is
no such list: one more is a decision (docs/decisions), and the wheel's tests hold those against
setup.cfg.
"""

from __future__ import annotations

import configparser
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.contract.document import Contract
from tests.contract import drift_values
from tests.contract.drift_values import Composed
from tests.contract.pins import DECIDED
from tests.contract.tables import REACHED
from tests.contract.test_drift_answers import NOT_KEPT
from tests.contract.test_drift_values import PUT_TOGETHER, VALUES
from tests.contract.test_yaml_examples import TITLES
from tests.contract.test_yaml_shape import FREE_FORM
from tests.e2e.test_wheel import NOT_PACKAGED
from tests.fuzz import exchange, judge, problem_checks
from tests.integration.test_schema_coverage import FREE, OPTIONAL
from tests.unit.test_architecture import EXCEPTIONS, OURS, SQL_EXCEPTIONS

ROOT = Path(__file__).resolve().parents[2]
PINNED = Path(__file__).with_name("allow_lists.yaml")
PINS: Mapping[str, list[str]] = {
    title: pinned
    for title, pinned in yaml.safe_load(PINNED.read_text()).items()
    if title != DECIDED
}
OFF = ("off", False)


def parsed(name: str) -> Any:
    text = (ROOT / name).read_text()
    return tomllib.loads(text) if name.endswith(".toml") else yaml.safe_load(text)


def rules_off(name: str) -> Iterable[str]:
    """Of a linter's ruleset; the parts in which it could excuse single places are told as well."""
    ruleset = parsed(name)
    yield from (rule for rule, sentence in ruleset["rules"].items() if sentence in OFF)
    yield from ruleset.keys() & {"overrides", "except", "apis", "parserOptions"}


def operations_excused_by_a_rule() -> Iterable[str]:
    return re.findall(r"operationId !== '(\w+)'", (ROOT / ".spectral.yaml").read_text())


def extensions() -> Iterable[str]:
    rule = parsed(".spectral.yaml")["rules"]["no-code-in-the-contract"]["given"]
    (names,) = re.findall(r"\^x-\(([a-z|-]+)\)\$", rule)
    return names.split("|")


def fuzzing_switched_off() -> Iterable[str]:
    """Dotted keys of the fuzzing's configuration that switch something off, or expect less."""

    def walk(node: Any, at: str) -> Iterable[str]:
        if isinstance(node, dict):
            at = node.get("include-operation-id", at)
            for key, value in node.items():
                yield from walk(value, f"{at}.{key}" if at else key)
        elif isinstance(node, list) and node and isinstance(node[0], dict):
            for item in node:
                yield from walk(item, at)
        elif node is False or at.endswith("expected-statuses"):
            yield at if node is False else f"{at} {node}"

    return walk(parsed("tests/fuzz/schemathesis.toml"), "")


def reached_by_less_than_half() -> Iterable[str]:
    return (name for name, share in REACHED.items() if share is None or share < 0.5)


def lax_queries() -> Iterable[str]:
    operations = Contract.packaged().operations
    return (name for name, operation in operations.items() if not operation.strict_query)


def ruff_ignores() -> Iterable[str]:
    lint = parsed("deploy/ruff.toml")["lint"]
    yield from lint["ignore"]
    yield from lint.get("per-file-ignores", ())


def marked(pattern: str, *rooms: str) -> Iterable[str]:
    """File and mark, wherever a source carries one; with the number where it does so again."""
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            found = Counter(re.findall(pattern, path.read_text()))
            for mark, times in found.items():
                yield f"{path.relative_to(ROOT)} {mark}" + (f" x{times}" if times > 1 else "")


def mypy_excuses() -> Iterable[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    loose = {"ignore_errors", "ignore_missing_imports", "exclude", "disable_error_code"}
    for section in config.sections():
        if section.startswith("mypy"):
            yield from loose & config[section].keys()
            yield from (section,) if section != "mypy" else ()


def not_shared() -> Iterable[str]:
    """The keys that a schema lacks of its values, or the values of the schema."""
    for name, found in VALUES.items():
        if isinstance(found, Composed):
            yield from (f"{name}.{field} from elsewhere" for field in found.elsewhere)
            yield from (f"{name}.{field} unsent" for field in found.unsent)
            yield from (f"{name}.{field} left out where empty" for field in found.empty)


SOURCES = ("composer", "handlers", "db", "server", "deploy", "docs", "tests")
NOQA = r"# noqa: (\w+)"
SKIPS = r"pytest\.(?:mark\.)?(skipif|skip|xfail|importorskip)\("

LISTS: Mapping[str, Callable[[], Iterable[Any]]] = {
    "Spectral's rules that are off": lambda: rules_off(".spectral.yaml"),
    "Redocly's rules that are off": lambda: rules_off(".redocly.yaml"),
    "places that a linter overlooks": lambda: [path.name for path in ROOT.glob(".*lint-ignore*")],
    "operations that a lint rule excuses": operations_excused_by_a_rule,
    "extensions that the contract may use": extensions,
    "what the fuzzing switches off": fuzzing_switched_off,
    "operations that fuzzing reaches in less than half": reached_by_less_than_half,
    "operations whose queries may say anything": lax_queries,
    "statuses left to Schemathesis": lambda: judge.MET_BY_SCHEMATHESIS,
    "statuses of the HTTP server": lambda: exchange.HTTP_SERVER_REFUSES,
    "Problems of no operation": lambda: problem_checks.FOREIGN,
    "names of a value spelled otherwise": lambda: drift_values.RESPELLED,
    "schemas that a handler puts together": lambda: PUT_TOGETHER,
    "what a schema and its values do not share": not_shared,
    "members of a body that nothing reads": lambda: NOT_KEPT,
    "objects with free keys": lambda: FREE_FORM,
    "titles that are not Python's": lambda: TITLES,
    "texts that may be anything": lambda: FREE,
    "keys that may be absent": lambda: OPTIONAL,
    "modules that may import another room": lambda: (
        path for path, more in EXCEPTIONS.items() if more & {"wsgi", *OURS}
    ),
    "SQL in Python": lambda: SQL_EXCEPTIONS,
    "files that the wheel leaves out": lambda: NOT_PACKAGED,
    "ruff's rules that are off": ruff_ignores,
    "lines that ruff overlooks": lambda: marked(NOQA, *SOURCES),
    "lines that mypy overlooks where it is strict": lambda: marked(
        r"# type: (ignore)", "composer", "handlers"
    ),
    "modules that mypy overlooks": mypy_excuses,
    "tests that may be skipped": lambda: marked(SKIPS, "tests"),
}


def ratchet_complaints(title: str, found: Iterable[Any], pinned: frozenset[str]) -> list[str]:
    """An entry more, or a pin that is no longer needed."""
    entries = {str(entry) for entry in found}
    complaints = [f"{title}: {entry} is new, and it may only shrink" for entry in entries - pinned]
    complaints += [f"{title}: {entry} is gone: lower its pin" for entry in pinned - entries]
    return sorted(complaints)


@pytest.mark.parametrize("title", LISTS)
def test_what_is_excused_may_only_shrink(title: str) -> None:
    find, pinned = LISTS[title], frozenset(PINS[title])
    assert ratchet_complaints(title, find(), pinned) == []


@pytest.mark.parametrize("title", LISTS)
def test_an_entry_more_and_one_that_is_gone_are_named(title: str) -> None:
    find, pinned = LISTS[title], frozenset(PINS[title])
    more = [*find(), "GetSurprise"]
    assert ratchet_complaints(title, more, pinned) == [
        f"{title}: GetSurprise is new, and it may only shrink"
    ]
    for gone in pinned:
        left = [entry for entry in find() if str(entry) != gone]
        assert ratchet_complaints(title, left, pinned) == [
            f"{title}: {gone} is gone: lower its pin"
        ]


def test_every_list_has_its_pins_and_no_pin_is_of_no_list() -> None:
    assert LISTS.keys() == PINS.keys()


def test_the_readers_of_sources_are_not_blind() -> None:
    """Written in pieces: this file is one of the sources."""
    lines = ["pytest.mark." + "skip(reason='x')", "pytest." + "importorskip('x')"]
    assert [re.findall(SKIPS, line) for line in lines] == [["skip"], ["importorskip"]]
    assert re.findall(NOQA, "x = 1  # no" + "qa: E501") == ["E501"]
