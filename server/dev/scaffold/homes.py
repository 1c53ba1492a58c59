"""Where the code of an operation goes: a module that fits it already, or one of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.dev.scaffold.operations import Operation
from server.dev.scaffold.tree import Source, Tree

CHECKER, SINK = "RelationChecker", "AuditSink"
# What the gates ask, by what is addressed; a port of any other type is the operation's own.
REPOS: Mapping[str, tuple[str, str]] = {
    "node": ("nodes", "NodeRepo"),
    "domain": ("domains", "DomainRepo"),
}
FAKES = "tests/fakes.py"


@dataclass(frozen=True, slots=True)
class Home:
    """A slice of the house. ``is_new`` where its ports are still to be made.

    ``fields`` are those of its ports, name -> type in their order; of them ``asked`` is the
    operation's own port, of the type ``source``. ``method`` is what the operation calls on it.
    """

    slice: str
    is_new: bool
    ports: str
    fields: Mapping[str, str]
    asked: str
    source: str
    source_path: str
    fake_path: str
    adapter: str
    adapter_path: str
    method: str

    @property
    def module(self) -> str:
        """Where its handlers are."""
        return f"handlers/{self.slice}.py"

    @property
    def tests(self) -> str:
        """Where their unit tests are."""
        return f"tests/unit/test_{self.slice}.py"

    @property
    def fake(self) -> str:
        """What stands in for the port."""
        return f"Fake{self.source}"

    @property
    def stand_in(self) -> str:
        """What the service on fakes calls it."""
        return f"{self.slice}_source"


def home_of(operation: Operation, tree: Tree) -> Home:
    """The module of its noun, or else, where its names are taken, one of its noun and its verb."""
    words = operation.words
    for named in (words, (*words, operation.verb.capitalize())):
        module = tree.source(f"handlers/{_slice(named)}.py")
        if module is None and _is_free("".join(named), tree):
            return _made(operation, named)
        found = _found(operation, named, module, tree) if module else None
        if found is not None:
            return found
    return _made(operation, named)


def _slice(words: Sequence[str]) -> str:
    return "_".join(words).lower()


def _is_free(noun: str, tree: Tree) -> bool:
    return not any(tree.owner("handlers", f"{noun}{kind}") for kind in ("Ports", "Source"))


def _made(operation: Operation, words: Sequence[str]) -> Home:
    named, noun = _slice(words), "".join(words)
    gates = [("relations", CHECKER), REPOS.get(operation.about)] if operation.about else []
    fields = [*gates, ("source", f"{noun}Source"), ("audit", SINK) if operation.about else None]
    return Home(
        slice=named,
        is_new=True,
        ports=f"{noun}Ports",
        fields=dict(one for one in fields if one is not None),
        asked="source",
        source=f"{noun}Source",
        source_path=f"handlers/{named}.py",
        fake_path=FAKES,
        adapter=f"Postgres{noun}",
        adapter_path=f"db/{named}.py",
        method=operation.does,
    )


def _found(operation: Operation, words: Sequence[str], module: Source, tree: Tree) -> Home | None:
    """The module, where it has one kind of ports, and they ask one port beside the gates'."""
    ports = [name for name in module.classes if name.endswith("Ports")]
    if len(ports) != 1:
        return None
    fields = module.fields(ports[0])
    of_gates = {CHECKER, SINK, *(kind for _, kind in REPOS.values())}
    asked = [name for name, kind in fields.items() if kind not in of_gates]
    needed = {CHECKER, SINK, REPOS.get(operation.about, ("", SINK))[1]} if operation.about else ()
    if len(asked) != 1 or not set(needed) <= set(fields.values()):
        return None
    source = fields[asked[0]]
    at = f"{module.imports.get(source, module.module).replace('.', '/')}.py"
    protocol, fake = tree.source(at), tree.owner("tests", f"Fake{source}")
    if protocol is None or source not in protocol.classes or not _stands_in(fake, source):
        return None
    assert fake is not None
    adapter = tree.adapters.get(source, f"Postgres{''.join(words)}")
    owner = tree.owner("db", adapter)
    is_taken = operation.does in protocol.methods(source)
    return Home(
        slice=_slice(words),
        is_new=False,
        ports=ports[0],
        fields=fields,
        asked=asked[0],
        source=source,
        source_path=protocol.path,
        fake_path=fake.path,
        adapter=adapter,
        adapter_path=owner.path if owner else f"db/{_slice(words)}.py",
        method=operation.function if is_taken else operation.does,
    )


def _stands_in(fake: Source | None, source: str) -> bool:
    """Whether a test can make one with nothing but a failure, and see what it was asked."""
    name = f"Fake{source}"
    if fake is None or not fake.has_defaults(name):
        return False
    return {"fails", "calls"} <= fake.fields(name).keys()
