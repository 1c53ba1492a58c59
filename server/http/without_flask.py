"""The short way of a request: from the contract's table to its operation, without Flask.

It makes the same steps in the same order as the views that Flask calls, by the same functions. What
is in any way unusual about a request is left to Flask, which decides what it means.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from server.contract.document import Contract, OperationContract
from server.http import request_context
from server.http.application import PLAIN_HOST
from server.http.doorkeeper import Doorkeeper
from server.http.errors import reply_of_error
from server.http.operations import BoundOperations
from server.http.reply import Reply, reply_of


@dataclass(frozen=True, slots=True)
class Route:
    """``fixed`` are the segments of the path that are text, ``named`` its parameters."""

    declared: OperationContract
    fixed: tuple[tuple[int, str], ...]
    named: tuple[tuple[int, str], ...]


class WithoutFlask:
    """Called for each request; None where Flask must answer."""

    def __init__(
        self,
        contract: Contract,
        bound: BoundOperations,
        doorkeeper: Doorkeeper,
        start: Callable[[], None],
        by_flask: frozenset[str] = frozenset(),
    ) -> None:
        """``start`` starts the clock of a request; ``by_flask`` are operations that Flask answers
        always."""
        self._contract = contract
        self._bound = bound
        self._doorkeeper = doorkeeper
        self._start = start
        self._routes: dict[tuple[str, int], list[Route]] = defaultdict(list)
        for declared in contract.operations.values():
            if not has_query(declared) and declared.operation_id not in by_flask:
                segments = list(enumerate(declared.path.split("/")))
                fixed = tuple(pair for pair in segments if not pair[1].startswith("{"))
                named = tuple((at, text[1:-1]) for at, text in segments if text.startswith("{"))
                key = (declared.method.upper(), len(segments))
                self._routes[key].append(Route(declared, fixed, named))
        for routes in self._routes.values():  # as Werkzeug: a text before a parameter
            routes.sort(key=lambda route: len(route.named))

    def __call__(self, environ: dict[str, Any]) -> Reply | None:
        found = self._found(environ)
        if found is None:
            return None
        declared, path = found
        request_context.set_operation(declared.operation_id)
        try:
            self._start()
            reply = reply_of(self._bound.answer_of_path(declared, path), in_pieces=True)
        except Exception as error:
            reply = reply_of_error(self._contract, error)
        return self._doorkeeper.check(reply)

    def _found(self, environ: dict[str, Any]) -> tuple[OperationContract, dict[str, str]] | None:
        path: str = environ["PATH_INFO"]
        if (
            environ.get("QUERY_STRING")
            or environ.get("SCRIPT_NAME")
            or not path.isascii()
            or not PLAIN_HOST.fullmatch(environ.get("HTTP_HOST", ""))
        ):
            return None
        segments = path.split("/")
        for route in self._routes.get((environ["REQUEST_METHOD"], len(segments)), ()):
            if all(segments[at] == text for at, text in route.fixed):
                if all(segments[at] for at, _ in route.named):
                    return route.declared, {name: segments[at] for at, name in route.named}
                return None
        return None


def has_query(declared: OperationContract) -> bool:
    """Whether the operation has parameters beside those of its path."""
    return any(parameter.kind == "query" for parameter in declared.parameters)
