"""Requests that the file lists as not served: ``x-unserved``, beside the operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

UNSERVED = "x-unserved"


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
    """The table of the file. Raises KeyError or TypeError for an entry of another shape."""
    return tuple(
        UnservedRequest(entry["method"].upper(), entry["path"], entry["code"])
        for entry in document.get(UNSERVED, ())
    )


def code_of(requests: Iterable[UnservedRequest], method: str, path: str) -> str | None:
    """The code of the first entry that a request matches; None where no entry does."""
    return next((request.code for request in requests if request.matches(method, path)), None)
