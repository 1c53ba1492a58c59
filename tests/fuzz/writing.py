"""Cases that write, made so that they can succeed, and so that they leave the sample alone."""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_hex
from typing import Any, Protocol
from uuid import UUID

from composer.registry import cursor_after
from tests.bodies import FRESH
from tests.fuzz.scratch import DIRECTED, PUTS, REMOVALS, WRITES
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
        held = world.scratch.held[DIRECTED:]
        self._held = {name: iter(held) for name in REMOVALS}
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
        supply: Iterator[str] = {
            "DeleteNode": self._nodes,
            "DeleteDomain": self._domains,
            "RotateNodeKey": iter(scratch.rotating[:1]),
            **dict.fromkeys(PUTS, iter(scratch.holding[:1])),
            **dict.fromkeys(REMOVALS, iter(scratch.holding[2:3])),
        }.get(name, iter((scratch.home,)))
        found = next(supply, None)
        if found is None:
            return
        meant = f"Bearer {self._world.permitted(name, case.path_parameters[parameter])}"
        case.path_parameters[parameter] = found
        # a stranger's stays, and one that was made to be refused
        if case.headers.get("Authorization") == meant:
            case.headers["Authorization"] = f"Bearer {self._world.permitted(name, found)}"

    def _mend(self, name: str, case: Case, given: Any) -> None:
        """What no schema can say: what is free, and what a list has given."""
        if isinstance(case.body, dict):
            case.body |= FRESH.get(name, dict)()
        if case.headers and "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = token_hex(16)
        if name in REMOVALS and "key" in given:
            case.path_parameters["key"] = next(self._held[name], given["key"])
        if name == "ListDomainNodes" and case.query and "cursor" in case.query:
            try:
                domain = UUID(given["domain_id"])
            except ValueError:
                return
            case.query["cursor"] = cursor_after(domain, UUID(int=0))
