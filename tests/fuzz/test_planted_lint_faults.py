"""The linters of the contract name every planted fault at its place.

All faults are planted in one copy and linted in one run; most of the time is the linters' start.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.contract.test_lint_api import INSTALL_AND_RUN_S, ROOT, lint

CONTRACT = ROOT / "api" / "plexsphere-v1.yaml"
pytestmark = pytest.mark.timeout(INSTALL_AND_RUN_S)
FAULT = re.compile(r"^(?P<file>\S+?):(?P<line>\d+):\d+  (?P<rule>\S+)  .+$")


@dataclass(frozen=True)
class Plant:
    """A fault: after ``after``, the first ``old`` becomes ``new`` with as many lines."""

    rule: str
    after: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.rule} {self.old.strip()[:20]}".replace(" ", "-")

    def put_into(self, text: str) -> str:
        start = text.index(self.old, text.index(self.after))
        assert self.old.count("\n") == self.new.count("\n")
        return text[:start] + self.new + text[start + len(self.old) :]

    def lines_in(self, text: str) -> range:
        """Where it may be reported: what is missing is reported at what it is missing from."""
        top = text.index(self.after)
        first, last = (text[:at].count("\n") + 1 for at in (top, text.index(self.old, top)))
        return range(first, last + 1)


def without(rule: str, after: str, old: str) -> Plant:
    """A line that is gone: it becomes a comment, so that the others keep their numbers."""
    return Plant(rule, after, old, f"# {old}")


BODY = "description: x, content: { text/plain: { schema: { type: string }, example: x } }"
SIZE = "x-max-body-bytes"
PLANTS = [
    Plant("openapi-version", "openapi: ", "3.0.3", "3.0.2"),
    Plant("operation-id-pascal-case", "/livez:", "GetLivez", "getLivez"),
    Plant("operation-operationId-unique", "/v1/version:", "GetVersion", "GetHealth"),
    without("operation-says-what-it-is", "/livez:", "summary:"),
    without("operation-says-what-it-is", "/metrics:", "tags:"),
    Plant("operation-succeeds", "/docs:", "'200'", "'300'"),
    without("body-has-an-example", "/livez:", "examples:\n"),
    without("parameter-and-header-have-an-example", "    CorrelationId:\n", "example:"),
    Plant("refusal-is-a-problem", "    NodeNotFound:", "problem+json", "json"),
    without("refusal-lists-its-codes", "    Unauthorized:", "x-problem-codes:"),
    without("unauthorized-names-the-scheme", "    Unauthorized:", "WWW-Authenticate:"),
    without("answer-carries-the-correlation-id", "    NotModified:", "X-Correlation-Id:"),
    without("pattern-has-lengths", "    SecretRef:", "maxLength:"),
    Plant("pattern-is-anchored-and-plain", "    Slug:", "^[a-z0-9]+(-", "^(?!-)[a-z]+(-"),
    Plant("pattern-is-anchored-and-plain", "    Cidr:", "pattern: ^", "pattern: "),
    without("format-has-a-pattern", "    PublicKey:", "pattern:"),
    Plant("uuid-has-no-format", "    Uuid:", "minLength: 36", "format: uuid"),
    Plant("moment-has-no-pattern", "    Timestamp:", "type: string", "pattern: ^.*Z$"),
    without("integer-is-bounded", "    RetryAfter:", "maximum:"),
    Plant("property-is-snake-case", "    NodeStatePeer:", "        mesh_ip:", "        meshIp:"),
    Plant("parameter-is-snake-case", "  parameters:\n    NodeId:", "name: id", "name: nodeId"),
    Plant("no-required-schema-properties-undefined", "    StateEntry:", " key:\n", " name:\n"),
    without("request-is-closed", "    NodeKeyRequest:", "additionalProperties:"),
    without("answer-is-open", "    PolicyPortRange:", "additionalProperties:"),
    without("object-says-so", "    Reachability:", "type: object"),
    Plant("nullable-is-a-named-object", "enabled:", "type: boolean", "nullable: true"),
    Plant("no-code-in-the-contract", "/livez:", "# No x-strict-query:", "x-module:"),
    Plant("strict-query-is-true", "/v1/health:", "query: true", "query: yes please"),
    Plant("no-python-path", "/v1/version:", "The version of", "handlers.service is"),
    Plant("oas3-valid-media-example", "    NodeNotFound:\n      summary", ": 404", ": 200"),
    Plant("oas3-valid-media-example", "    RetryAfter:", "example: 5", "example: soon"),
    Plant("oas3-valid-media-example", "    NodeId:", "example: ", "example: x"),
    Plant("oas3-valid-schema-example", "    Limit:", "default: 50", "default: 5000"),
    Plant("oas3-valid-schema-example", "    Reachability:", "description: The", "default: x #"),
    Plant("body-means-something", "/livez:", "security: []", f"requestBody: {{ {BODY} }}"),
    Plant("max-body-bytes-is-a-number", "/public-key:", "description: At", f"{SIZE}: lots # At"),
    Plant("max-body-bytes-is-a-number", "/docs:", "security: []", f"{SIZE}: 100"),
    Plant("no-unresolved-refs", "plain_node:", "SnapshotOfAPlainNode", "Nowhere"),
    without("path-parameters-defined", "/events:", "- $ref: '#/components/parameters/NodeId'"),
]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[int]]:
    """The lines at which each rule found something in a file with all the plants."""
    text = CONTRACT.read_text(encoding="utf-8")
    for plant in PLANTS:
        text = plant.put_into(text)
    file = tmp_path_factory.mktemp("lint") / CONTRACT.name
    file.write_text(text, encoding="utf-8")
    done = lint(str(file))
    assert done.returncode == 1, done.stderr
    found: dict[str, set[int]] = {}
    for line in done.stdout.splitlines()[:-1]:
        match = FAULT.match(line)
        assert match, line
        assert match["file"] == str(file)
        found.setdefault(match["rule"], set()).add(int(match["line"]))
    return found


@pytest.mark.parametrize("plant", PLANTS, ids=str)
def test_a_planted_fault_is_named_at_its_place(plant: Plant, reported: dict[str, set[int]]) -> None:
    where = plant.lines_in(CONTRACT.read_text(encoding="utf-8"))
    assert reported.get(plant.rule, set()) & set(where)


def test_every_rule_of_our_own_is_planted() -> None:
    rules = yaml.safe_load((ROOT / ".spectral.yaml").read_text())["rules"]
    own = {name for name, rule in rules.items() if isinstance(rule, dict)}
    assert len(own) > 20
    assert own <= {plant.rule for plant in PLANTS}


def test_the_committed_contract_has_no_fault() -> None:
    done = lint()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "api/plexsphere-v1.yaml: no faults\n"


def test_a_file_that_is_not_yaml_is_one_fault(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("openapi: 3.0.3\npaths: {\n", encoding="utf-8")
    done = lint(str(file))
    assert done.returncode == 1
    assert [line.split("  ")[:2] for line in done.stdout.splitlines()[:-1]] == [
        [f"{file}:3:1", "parser"]
    ]
