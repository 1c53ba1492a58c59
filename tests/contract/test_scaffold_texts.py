"""What scaffold says of one operation: where each piece goes, and what is left to its author."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import handlers
from server.contract import Contract
from server.dev.scaffold import ScaffoldError, parts, scaffold
from server.dev.scaffold.tree import Tree
from tests.contract.printed import EVERY, code, contract, printed
from tests.contract.scaffolded import FREE, KEY, Sample, declaring

FULL = ["tests/contract/tables.py", "tests/contract/attacked.py", "tests/contract/answered.py"]


def test_nobody_has_declared_what_a_sample_is_called() -> None:
    assert not {one.name for one in EVERY.values()} & Contract.packaged().operations.keys()


def test_every_part_says_where_it_goes() -> None:
    text = scaffold("GetNodeWombats", contract())
    for (path, how), one in printed("of a Node").items():
        assert f"# {path}: {how}" in text
        assert one.code in text


@pytest.mark.parametrize("kind", EVERY)
def test_every_table_has_its_row(kind: str) -> None:
    assert [path for path, _ in printed(kind)][-3:] == FULL


@pytest.mark.parametrize("kind", EVERY)
def test_no_class_has_the_name_of_another(kind: str) -> None:
    """A second one would take the place of the first in the index, and its gate 0 with it."""
    taken = {name for name in vars(handlers) if name.endswith("Ports")}
    found = re.findall(r"^class (\w+)", code(kind), re.MULTILINE)
    assert not taken & {*found}
    assert len(found) == len({*found})


def test_a_module_that_has_the_noun_is_added_to_with_the_ports_it_has() -> None:
    found = printed("of a noun that is there")
    assert ("composer/ports.py", "a method more in DomainReader") in found
    assert ("tests/fakes.py", "a method more in FakeDomainReader") in found
    assert ("tests/unit/test_domains.py", "exists: add") in found
    handler = found["handlers/domains.py", "exists: add"]
    assert "ports: DomainPorts" in handler.code and "ports.reader.survey(" in handler.code
    assert not re.search(r"^class ", handler.code, re.MULTILINE)
    assert not {"Asked", "Answer", "DomainPorts"} & handler.imports.keys()
    for path in ("server/wiring_ports.py", "tests/ports/in_process.py"):
        assert path not in {at for at, _ in found}


def test_a_noun_whose_names_are_taken_is_told_apart_by_its_verb() -> None:
    found = printed("of a taken name")
    assert ("handlers/domain_polish.py", "a new file") in found
    assert ("tests/unit/test_domain_polish.py", "a new file") in found
    assert "class DomainPolishPorts:" in found["handlers/domain_polish.py", "a new file"].code
    index = found["handlers/__init__.py", "in UNPROVISIONED"]
    assert index.code == "DomainPolishPorts: refuse_domain_polish,\n"


def test_a_module_of_several_ports_is_left_alone() -> None:
    assert ("handlers/entries_survey.py", "a new file") in printed("of two ports")


def test_what_a_service_stands_on_is_wired_on_the_receipt_and_in_process() -> None:
    found = printed("of a Node")
    adapters = found["server/wiring_ports.py", "in ADAPTERS"]
    assert adapters.code == '"NodeWombatsSource": PostgresNodeWombats,\n'
    assert adapters.imports == {"PostgresNodeWombats": "db.node_wombats"}
    wired = found["server/wiring_ports.py", "among the ports"]
    assert "NodeWombatsPorts(relations, nodes, PostgresNodeWombats(reads), audit)," in wired.code
    assert wired.imports == {"NodeWombatsPorts": "handlers.node_wombats"}
    stands_on = found["tests/ports/in_process.py", "among what FakeService stands on"]
    assert stands_on.code == "        self.node_wombats_source = FakeNodeWombatsSource()\n"


def test_what_is_written_is_on_record_at_once_and_what_is_read_once_it_leaves() -> None:
    read = code("of a Node", "handlers/node_wombats.py")
    assert "    audit(ports, call, principal, node_object(node_id), outcome=GRANTED, " in read
    written = code("of a taken name", "handlers/domain_polish.py")
    assert "    audit_done(ports, call, principal, domain_object(addressed), POLISH_" in written


@pytest.mark.parametrize("kind", ["of an id of its own", "of a caller", "of a caller with a body"])
def test_an_operation_on_neither_node_nor_domain_has_a_gate_whose_relation_is_to_be_named(
    kind: str,
) -> None:
    name = EVERY[kind].name
    (path,) = {at for at, how in printed(kind) if at.startswith("handlers/w")}
    handler = code(kind, path)
    assert "# NAME who may: " in handler
    assert "    platform_role(ports, call, principal, " in handler
    assert f'AUTHZ: "{name}": "manage",\n' in code(kind, "tests/contract/tables.py")
    attacked = code(kind, "tests/contract/attacked.py")
    assert '"user:operator"' in attacked and 'audit_object="platform:plexsphere"' in attacked


def test_a_further_part_of_a_path_is_shown_by_its_example_and_to_be_filled_in() -> None:
    attacked = code("of a key", "tests/contract/attacked.py")
    assert "    # FILL IN wombat_key: " in attacked
    assert '{**sample_domain(stack), "wombat_key": "ada"}' in attacked
    assert '{"domain_id": UNREAL, "wombat_key": "ada"}, 404)' in attacked
    answered = code("of a key", "tests/contract/answered.py")
    assert answered == '"GetDomainWombat": got(f"{IN_DOMAIN}/wombats/ada"),\n'
    attacked = code("of a Node's key", "tests/contract/attacked.py")
    assert '{**scratch_node(stack), "burrow_key": "ada"}' in attacked
    assert '{"id": UNREAL, "burrow_key": "ada"}, 403)' in attacked
    assert "granted=204," in attacked


def test_an_id_that_is_no_nodes_is_its_own_example() -> None:
    shown = "0190b2c4-8d5e-7a10-9c3f-5b6e7f8091a2"
    tests = code("of an id of its own", "tests/unit/test_wombat.py")
    assert f'get_wombat(ports, call(who), id="{shown}")' in tests
    attacked = code("of an id of its own", "tests/contract/attacked.py")
    assert f'{{"id": "{shown}"}}' in attacked and '{"id": UNREAL}, 404)' in attacked
    assert "    # FILL IN id: " in attacked


def test_what_one_answer_cannot_show_is_to_be_shown() -> None:
    found = {name: parts(name)[-1] for name in ("GetNodeReachability", "GetNodeState")}
    assert all(one.code.startswith("# SHOW each key") for one in found.values())
    assert "SHOW" not in code("of a Node", "tests/contract/answered.py")


def test_the_annotations_are_those_of_python() -> None:
    text = code("with a query and a body")
    for one in (
        "limit: int,",
        "burrow_after: str | None = None,",
        "burrow_exact: bool,",
        "burrow_share: float | None = None,",
        "burrow_tags: list[str] | None = None,",
        "body: Mapping[str, Any],",
        "names: list[str],",
        "limit_: int,",
        "note: str | None,",
    ):
        assert f"    {one}\n" in text


@pytest.mark.parametrize("name", ["GetNodeState", "GetNodeEvents", "CreateDomain"])
def test_an_operation_with_a_handler_says_which(name: str) -> None:
    assert scaffold(name).startswith(f"# Today {name} is handlers.")


def test_an_operation_without_a_success_is_refused_until_it_has_one() -> None:
    index, *rows = parts("GetNodeEvents")
    assert index.code == '"GetNodeEvents": refuse_pull,\n'
    assert [one.path for one in rows] == FULL
    assert "granted=501" in rows[1].code and "NEVER_GRANTED" in rows[1].text


@pytest.mark.parametrize(
    "name, reason",
    [
        ("GetNodeStat", "operation GetNodeStat is not in the contract; did you mean GetNodeState?"),
        ("Xyz", "operation Xyz is not in the contract; declare it there first."),
    ],
)
def test_an_operation_that_is_not_declared_is_one_sentence(name: str, reason: str) -> None:
    with pytest.raises(ScaffoldError) as error:
        scaffold(name)
    assert str(error.value) == reason


def test_a_parameter_that_python_cannot_name_is_one_sentence() -> None:
    bad = Sample("GetQuokkas", "/v1/quokkas/{a-b}", parameters=KEY % ("a-b", "ada"), body=FREE)
    with pytest.raises(ScaffoldError, match="parameter a-b cannot be a name in Python"):
        parts("GetQuokkas", Contract(declaring(bad)))


def test_a_file_that_is_half_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "handlers").mkdir()
    (tmp_path / "handlers" / "node_wombats.py").write_text("class Wombats\n")
    with pytest.raises(ScaffoldError, match=r"^handlers/node_wombats\.py:1:14: "):
        parts("GetNodeWombats", contract(), Tree(tmp_path))
