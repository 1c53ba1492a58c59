"""Every part of an operation, file by file, each with the imports that its file lacks."""

from __future__ import annotations

from collections.abc import Iterator
from string import Template

from server.dev.scaffold import code, rows, templates
from server.dev.scaffold.codes import OF_A_QUERY, OF_PARAMETERS, Code, Refusals, usual
from server.dev.scaffold.homes import Home
from server.dev.scaffold.known import known_names
from server.dev.scaffold.layout import import_block, used
from server.dev.scaffold.operations import Operation
from server.dev.scaffold.pieces import ADDED, NEW, Part
from server.dev.scaffold.tree import Tree
from server.dev.scaffold.unit_tests import tests

INDEX = "handlers/__init__.py"
IN_PROCESS = "tests/ports/in_process.py"
REFUSED = "server/request_refusals.py"
TOO_LARGE, BODY_TOO_LARGE = "payload_too_large", 413
WIRING = "server/wiring_ports.py"
ITS_OWN = "its SQL goes to db/queries/, its suite to tests/ports/"


class Writer:
    """What is written for one operation in its home."""

    def __init__(self, operation: Operation, home: Home, refusals: Refusals, tree: Tree) -> None:
        self._operation = operation
        self._home = home
        self._refusals = refusals
        self._tree = tree

    def handler(self) -> Iterator[Part]:
        """The port and what asks it."""
        operation, home = self._operation, self._home
        blocks = [code.constant(operation), code.handler(operation, home)]
        if not home.is_new:
            method = code.method(operation, home)
            yield self._part(home.source_path, f"a method more in {home.source}", method)
            yield self._module(home.module, "", blocks, "the constant goes to the others")
            return
        blocks.insert(1, code.ports(operation, home))
        if self._refusals.gate is not None:
            blocks.append(code.refuse(operation, home, self._refusals.gate.constant))
        yield self._module(home.module, f"{operation.name}: {code.summary(operation)}.", blocks)

    def index(self) -> Iterator[Part]:
        """The lines of handlers/__init__.py."""
        operation, home = self._operation, self._home
        yield self._row(INDEX, "OPERATIONS", f'"{operation.name}": {operation.function},\n')
        if home.is_new and operation.refusal:
            yield self._row(INDEX, "UNPROVISIONED", f"{home.ports}: refuse_{home.slice},\n")

    def refused(self) -> Iterator[Part]:
        """What a parameter or a body becomes that is not as declared."""
        operation = self._operation
        for parameter, its in self._refusals.parameters:
            known = usual(parameter)
            if known is None:
                line = f'"{parameter.spelled}": {its.constant},\n'
                yield self._row(REFUSED, "PARAMETER_REFUSALS", line)
            elif known != its.code:
                line = f'("{operation.name}", "{parameter.spelled}"): {its.constant},\n'
                yield self._row(REFUSED, "OPERATION_REFUSALS", line)
        if self._refusals.body is not None:
            yield self._body(self._refusals.body)

    def _body(self, malformed: Code) -> Part:
        operation = self._operation
        told = {OF_A_QUERY, *OF_PARAMETERS, *(one.code for one in self._refusals.every)}
        left = [one for one in operation.codes.get(malformed.status, ()) if one not in told]
        note = f"`missing` and `members` say when it is {', '.join(left)}" if left else ""
        large = next(iter(operation.codes.get(BODY_TOO_LARGE, ())), TOO_LARGE)
        constant = self._tree.refusals.get(large, large.upper())
        beyond = "" if large == TOO_LARGE else f", too_large={constant}"
        line = f'"{operation.name}": BodyRefusals({malformed.constant}{beyond}),\n'
        return self._row(REFUSED, "BODY_REFUSALS", line, note)

    def wired(self) -> Iterator[Part]:
        """The adapter, and where it meets its port."""
        operation, home = self._operation, self._home
        path, adapter = home.adapter_path, home.adapter
        if not home.is_new:
            method = code.adapter_method(operation, home)
            yield self._part(path, f"a method more in {adapter}", method, note=ITS_OWN)
            return
        title = f"The {home.source} on Postgres."
        yield self._module(path, title, [code.adapter(operation, home)], ITS_OWN)
        yield self._row(WIRING, "ADAPTERS", f'"{home.source}": {adapter},\n')
        line = rows.wired(operation, home)
        yield self._part(WIRING, "among the ports", line, f"(\n{line})")

    def stand_ins(self) -> Iterator[Part]:
        """The port of the tests, and of the service on fakes."""
        operation, home = self._operation, self._home
        if not home.is_new:
            method = code.fake_method(operation, home)
            yield self._part(home.fake_path, f"a method more in {home.fake}", method)
            return
        yield self._part(home.fake_path, ADDED, code.fake(operation, home))
        yield self._part(IN_PROCESS, "among what FakeService stands on", rows.stand_in(home))
        yield self._part(IN_PROCESS, "among what it wires", rows.wired_in_process(home))

    def tests(self) -> Iterator[Part]:
        """Of the handler alone, and the rows of the tables."""
        operation, home = self._operation, self._home
        title = f"{operation.name}: what its gates and its port make of a call."
        yield self._module(home.tests, title, [tests(operation, home)])
        yield from self.rows()

    def rows(self) -> Iterator[Part]:
        """Those of the tables."""
        operation = self._operation
        tables = rows.tables(operation)
        yield Part("tests/contract/tables.py", "a row in each table", tables)
        note = "" if operation.status else "NEVER_GRANTED and its pin have its name"
        row = rows.attacked(operation)
        yield self._row("tests/contract/attacked.py", "ATTACKED", row, note)
        yield self._row("tests/contract/answered.py", "ANSWERED", rows.answered(operation))

    def _row(self, path: str, table: str, line: str, note: str = "") -> Part:
        return self._part(path, f"in {table}", line, f"{{{line}}}", note)

    def _module(self, path: str, title: str, blocks: list[str], note: str = "") -> Part:
        """A file of its own, or what is added to one that is there."""
        text = "\n\n".join(one.rstrip() + "\n" for one in blocks if one)
        if self._tree.source(path) is not None:
            return self._part(path, ADDED, text, note=note)
        imports = import_block(used(text, self._known(path)))
        begins = text.startswith(("class", "def", "@"))
        filled = Template(templates.MODULE).substitute(
            title=title, imports=imports, code=f"\n{text}" if begins else text
        )
        return Part(path, NEW, filled, note=note)

    def _part(self, path: str, how: str, text: str, parsed: str = "", note: str = "") -> Part:
        imports = used(parsed or text, self._known(path))
        return Part(path, how, text, self._tree.lacks(path, imports), note)

    def _known(self, path: str) -> dict[str, str]:
        return known_names(path, self._operation, self._home, self._refusals, self._tree)
