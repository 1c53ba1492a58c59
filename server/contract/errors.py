"""What is wrong with the contract, and with which part of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Path = tuple[str | int, ...]


class ContractError(Exception):
    """The file cannot be served as it stands; the message is a complaint for its author.

    ``node`` is the very object of the parsed document that it is about, ``key`` what of it; both
    become ``path`` where the whole document is known. Without any it is about all of it.
    """

    def __init__(
        self, message: str, node: object = None, key: str | None = None, path: Path = ()
    ) -> None:
        super().__init__(message)
        self.node = node
        self.key = key
        self.path = path


@contextmanager
def reading(node: object) -> Iterator[None]:
    """Whatever goes wrong inside is about this node, unless a part of it was blamed already."""
    try:
        yield
    except ContractError as error:
        if error.node is None:
            error.node = node
        raise
    except KeyError as error:
        raise ContractError(f"{error.args[0]} is missing here", node) from error
    except Exception as error:  # whatever a library stumbles over is the author's to know
        raise ContractError(f"{type(error).__name__}: {error}", node) from error


@contextmanager
def placed_in(document: object) -> Iterator[None]:
    """Complaints from inside leave with their path in the document."""
    try:
        with reading(document):
            yield
    except ContractError as error:
        path = _path_of(document, error.node) or ()
        error.path = path if error.key is None else (*path, error.key)
        raise


def switch(holder: Mapping[str, Any], key: str) -> bool:
    """A key of ours that is on where it stands."""
    value = holder.get(key, False)
    if not isinstance(value, bool):
        raise ContractError(f"{key} is true, or is not there", holder, key)
    return value


def size(holder: Mapping[str, Any], key: str, default: int) -> int:
    """A key of ours that counts bytes."""
    value = holder.get(key, default)
    if type(value) is not int or value < 1:  # to Python, true is a number
        raise ContractError(f"{key} is a whole number from 1, or is not there", holder, key)
    return value


def status_number(responses: Mapping[str, Any], status: str) -> int:
    """Each status on its own: a range or a default declares what nobody sends."""
    if not str(status).isdecimal():
        raise ContractError(f"the status {status} is no number", responses, status)
    return int(status)


def _path_of(holder: Any, node: object) -> Path | None:
    """By identity: equal parts of a document are many."""
    if holder is node:
        return ()
    if not isinstance(holder, (dict, list)):
        return None
    inside = holder.items() if isinstance(holder, dict) else enumerate(holder)
    for key, value in inside:
        path = _path_of(value, node)
        if path is not None:
            return (key, *path)
    return None
