"""Requests that the file lists as not served: ``x-unserved``, beside the operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from server.contract.errors import PartError

UNSERVED = "x-unserved"
_KEYS = ("method", "path", "code")


@dataclass(frozen=True, slots=True)
class UnservedRequest:
    """A method of a path template, and the code of its 501."""

    method: str
    path: str
    code: str

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is of this template; HEAD is a GET. A parameter may be any text."""
        if (method, self.method) != ("HEAD", "GET") and method != self.method:
            return False
        template, segments = self.path.split("/"), path.split("/")
        return len(template) == len(segments) and all(
            segment == name or (name.startswith("{") and segment != "")
            for name, segment in zip(template, segments, strict=True)
        )


def unserved_requests(document: Mapping[str, Any]) -> tuple[UnservedRequest, ...]:
    """The table of the file. Raises PartError for an entry of another shape."""
    entries = document.get(UNSERVED, [])
    if not isinstance(entries, list):
        raise PartError(f"{UNSERVED} must be a list", document, UNSERVED)
    return tuple(_request(entries, index) for index in range(len(entries)))


def _request(entries: list[Any], index: int) -> UnservedRequest:
    entry = entries[index]
    texts: list[Any] = [entry.get(key) for key in _KEYS] if isinstance(entry, Mapping) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise PartError(f"an entry has the texts {', '.join(_KEYS)}", entries, index)
    method, path, code = texts
    return UnservedRequest(method.upper(), path, code)


def code_of(requests: Iterable[UnservedRequest], method: str, path: str) -> str | None:
    """The code of the first entry that a request matches; None where no entry does."""
    return next((request.code for request in requests if request.matches(method, path)), None)
