"""Faults of the contract, each with its place in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from server.contract.pointers import Path
from server.contract.value_types import is_of_type


@dataclass(frozen=True, slots=True)
class ContractFault:
    """One sentence for the author; ``is_key`` when the key at the end of ``path`` is wrong, and not
    its value."""

    path: Path
    sentence: str
    is_key: bool = False


class ContractError(Exception):
    """The file cannot be served."""

    def __init__(self, faults: Sequence[ContractFault]) -> None:
        super().__init__("\n".join(fault.sentence for fault in faults))
        self.faults = tuple(faults)


class PartError(Exception):
    """A part of the parsed document is wrong; the message is a sentence for the author.

    ``part`` is that very object of the document, ``key`` the wrong member of it.
    """

    def __init__(self, sentence: str, part: object = None, key: str | int | None = None) -> None:
        super().__init__(sentence)
        self.part = part
        self.key = key


class FaultCollector:
    """Collects the faults of all parts of a document, each once."""

    def __init__(self, document: object) -> None:
        self._document = document
        self._faults: dict[ContractFault, None] = {}

    @contextmanager
    def part(self, part: object) -> Iterator[None]:
        """An error inside the block is a fault of this part, if it names no part itself."""
        try:
            yield
        except PartError as error:
            found = part if error.part is None else error.part
            self._add(found, str(error), error.key)
        except KeyError as error:
            self._add(part, f"{error.args[0]} is missing here")
        except Exception as error:  # the author must know every error of a library
            self._add(part, f"{type(error).__name__}: {error}")

    def add(self, error: PartError) -> None:
        """Add the fault of the part that the error names."""
        self._add(error.part, str(error), error.key)

    def raise_faults(self) -> None:
        """Raises ContractError if there is a fault."""
        if self._faults:
            raise ContractError(list(self._faults))

    def _add(self, part: object, sentence: str, key: str | int | None = None) -> None:
        path = _path_of(self._document, part) or ()
        fault = ContractFault(path if key is None else (*path, key), sentence)
        self._faults.setdefault(fault)


def read_flag(part: Mapping[str, Any], key: str) -> bool:
    """An ``x-`` key that is true, or absent."""
    value = part.get(key, False)
    if not isinstance(value, bool):
        raise PartError(f"{key} must be true or absent", part, key)
    return value


def read_size(part: Mapping[str, Any], key: str, default: int) -> int:
    """An ``x-`` key that is a number of bytes."""
    value = part.get(key, default)
    if not is_of_type(value, "integer") or value < 1:
        raise PartError(f"{key} must be a whole number from 1, or absent", part, key)
    return value


def read_status(responses: Mapping[str, Any], status: str) -> int:
    """Ranges and ``default`` would declare statuses that are never sent."""
    if not status.isdecimal():
        raise PartError(f"the status {status} is no number", responses, status)
    return int(status)


def _path_of(whole: Any, part: object) -> Path | None:
    """The path of a part, found by identity: a document has many equal parts."""
    if whole is part:
        return ()
    if not isinstance(whole, (dict, list)):
        return None
    members = whole.items() if isinstance(whole, dict) else enumerate(whole)
    for key, value in members:
        path = _path_of(value, part)
        if path is not None:
            return (key, *path)
    return None
