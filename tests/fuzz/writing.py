"""Cases that write, made so that they can succeed, and so that they leave the sample alone."""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_hex
from typing import Any, Protocol
from uuid import UUID

from composer.registry import cursor_after
from tests.bodies import FRESH
from tests.fuzz.scratch import DIRECTED, WRITES
from tests.fuzz.world import World


class Case(Protocol):
    """What is read and changed of a case."""

    path_parameters: Any
    headers: Any
    query: Any
    body: Any


class Writing:
    """Hands out each removable object once; for one process."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._nodes = iter(world.scratch.nodes[DIRECTED:])
        self._domains = iter(world.scratch.domains[DIRECTED:])
        self._real = {*world.tokens, *world.domain_ids}

    def prepare(self, name: str, case: Case, valid: bool) -> None:
        """``case`` is about to be sent."""
        given = case.path_parameters or {}
        if name in WRITES:
            for parameter, value in given.items():
                if value in self._real:
                    self._redirect(name, case, parameter)
        if valid:
            self._mend(name, case, given)

    def _redirect(self, name: str, case: Case, parameter: str) -> None:
        scratch = self._world.scratch
        stay = iter((scratch.rotating[0] if name == "RotateNodeKey" else scratch.home,))
        supply: Iterator[str] = {"DeleteNode": self._nodes, "DeleteDomain": self._domains}.get(
            name, stay
        )
        found = next(supply, None)
        if found is None:
            return
        case.path_parameters[parameter] = found
        token = self._world.permitted(name, found)
        stranger = f"Bearer {self._world.stranger}"
        if "Authorization" in case.headers and case.headers["Authorization"] != stranger:
            case.headers["Authorization"] = f"Bearer {token}"

    def _mend(self, name: str, case: Case, given: Any) -> None:
        """What no schema can say: what is free, and what a list has given."""
        if isinstance(case.body, dict):
            case.body |= FRESH.get(name, dict)()
        if case.headers and "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = token_hex(16)
        if name == "ListDomainNodes" and case.query and "cursor" in case.query:
            try:
                domain = UUID(given["domain_id"])
            except ValueError:
                return
            case.query["cursor"] = cursor_after(domain, UUID(int=0))
