"""What a tree has already, read without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import handlers
from server.dev.scaffold.declared import ScaffoldError
from server.dev.scaffold.layout import Imports

HERE = Path(handlers.__file__).resolve().parents[1]


class Source:
    """A module by its path in the tree. Raises ScaffoldError where it is no Python."""

    def __init__(self, root: Path, path: str) -> None:
        self.path = path
        try:
            self._tree = ast.parse((root / path).read_bytes())
        except SyntaxError as error:
            raise ScaffoldError(f"{path}:{error.lineno}:{error.offset}: {error.msg}.") from error

    @property
    def module(self) -> str:
        """As it is imported."""
        return self.path.removesuffix(".py").replace("/", ".")

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """By name."""
        return {one.name: one for one in self._tree.body if isinstance(one, ast.ClassDef)}

    @cached_property
    def imports(self) -> dict[str, str]:
        """Name -> module, as a block of imports has it."""
        return {
            name.asname or name.name: one.module or "" if isinstance(one, ast.ImportFrom) else ""
            for one in self._tree.body
            if isinstance(one, (ast.Import, ast.ImportFrom))
            for name in one.names
        }

    @cached_property
    def names(self) -> set[str]:
        """Whatever may be used in it without an import more."""
        own = (one for one in self._tree.body if isinstance(one, (ast.ClassDef, ast.FunctionDef)))
        return {*self.imports, *(one.name for one in own), *self.values}

    @cached_property
    def values(self) -> dict[str, ast.expr]:
        """What a name is assigned, at the top."""
        found: dict[str, ast.expr] = {}
        for one in self._tree.body:
            if isinstance(one, (ast.Assign, ast.AnnAssign)) and one.value is not None:
                target = one.target if isinstance(one, ast.AnnAssign) else one.targets[0]
                found[ast.unparse(target)] = one.value
        return found

    def fields(self, name: str) -> dict[str, str]:
        """Of a dataclass: name -> type."""
        return {ast.unparse(one.target): ast.unparse(one.annotation) for one in self._fields(name)}

    def has_defaults(self, name: str) -> bool:
        """Whether a dataclass can be made without an argument."""
        return all(one.value is not None for one in self._fields(name))

    def methods(self, name: str) -> set[str]:
        """Of a class."""
        return {one.name for one in self.classes[name].body if isinstance(one, ast.FunctionDef)}

    def read_in(self, function: str) -> set[str]:
        """The names that a function reads."""
        return {
            name.id
            for one in self._tree.body
            if isinstance(one, ast.FunctionDef) and one.name == function
            for name in ast.walk(one)
            if isinstance(name, ast.Name)
        }

    def lacks(self, imports: Imports) -> dict[str, str]:
        """Of these imports those that it has to be given."""
        return {name: module for name, module in imports.items() if name not in self.names}

    def _fields(self, name: str) -> Iterator[ast.AnnAssign]:
        return (one for one in self.classes[name].body if isinstance(one, ast.AnnAssign))


class Tree:
    """The rooms below a folder."""

    def __init__(self, root: Path = HERE) -> None:
        self._root = root
        self._read: dict[str, Source] = {}

    def source(self, path: str) -> Source | None:
        """A module; None where there is none."""
        if path not in self._read and (self._root / path).is_file():
            self._read[path] = Source(self._root, path)
        return self._read.get(path)

    def text(self, path: str) -> str:
        """A file, empty where there is none."""
        place = self._root / path
        return place.read_text("utf-8") if place.is_file() else ""

    def owner(self, room: str, name: str) -> Source | None:
        """The module of a room, folders in it aside, that has a class of this name."""
        for place in sorted((self._root / room).glob("*.py")):
            path = f"{room}/{place.name}"
            if f"class {name}" in self.text(path):  # most have not, and need no reading
                source = self.source(path)
                if source is not None and name in source.classes:
                    return source
        return None

    def lacks(self, path: str, imports: Imports) -> dict[str, str]:
        """Of these imports those that a file has to be given; all, where it is new."""
        source = self.source(path)
        return dict(imports) if source is None else source.lacks(imports)

    @cached_property
    def refusals(self) -> dict[str, str]:
        """Problem code -> what handlers/refusals.py calls it."""
        source = self.source("handlers/refusals.py")
        values = source.values.items() if source else ()
        return {
            value.args[1].value: name
            for name, value in values
            if isinstance(value, ast.Call)
            and len(value.args) > 1
            and isinstance(value.args[1], ast.Constant)
            and isinstance(value.args[1].value, str)
        }

    @cached_property
    def adapters(self) -> dict[str, str]:
        """Port -> the adapter that server/wiring_ports.py names for it."""
        pairs = self._mapping("server/wiring_ports.py", "ADAPTERS")
        return {port.strip("'"): adapter for port, adapter in pairs.items()}

    @cached_property
    def gates(self) -> dict[str, str]:
        """Ports -> the Problem code of what they are refused with while they do not exist."""
        codes = {name: code for code, name in self.refusals.items()}
        found: dict[str, str] = {}
        index = self.source("handlers/__init__.py")
        for ports, refusal in self._mapping("handlers/__init__.py", "UNPROVISIONED").items():
            module = index.imports.get(refusal, "") if index else ""
            source = self.source(f"{module.replace('.', '/')}.py")
            for name in source.read_in(refusal) if source else ():
                if name in codes:
                    found[ports] = codes[name]
        return found

    def _mapping(self, path: str, name: str) -> dict[str, str]:
        """What a module's mapping has, key and value as they are written."""
        source = self.source(path)
        value = source.values.get(name) if source else None
        found = [one for one in ast.walk(value) if isinstance(one, ast.Dict)] if value else []
        return {
            ast.unparse(key): ast.unparse(one)
            for mapping in found
            for key, one in zip(mapping.keys, mapping.values, strict=True)
            if key is not None
        }
