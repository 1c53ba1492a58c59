"""The object that a case changes, made over HTTP just before it is sent: no run is too long for it.

An object that a case was refused on is the next one's; one that may be gone is made anew. So a run
leaves hardly more behind than its own registrations, which go to a new Domain every ``ROOM`` of
them: each is answered with all the peers there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http.client import HTTPException
from itertools import count

from tests.bodies import JSON, body_now
from tests.client import Reply, ask, bearer
from tests.fuzz.exchange import CONTRACT, Exchange
from tests.fuzz.scratch import PUTS, REMOVALS
from tests.fuzz.world import World

ROOM = 64
# Refusals behind which the object is as it was.
SPARED = (400, 401, 403, 413)
# Path parameters by name.
Object = Mapping[str, str]
Send = Callable[..., Reply]


class Supply:
    """Objects for one process, which sends its cases one after the other."""

    def __init__(self, world: World, send: Send = ask) -> None:
        self._world = world
        self._send = send
        self._standing: dict[str, Object] = {}
        self._numbers = count()
        self._home, self._room = world.scratch.home, ROOM

    def removable(self, name: str, url: str) -> Object | None:
        """An object that ``name`` may remove; None where it cannot be made."""
        if name not in self._standing:
            made = self._made(name, url)
            if made is None:
                return None
            self._standing[name] = made
        return self._standing[name]

    def home(self, url: str) -> str:
        """The Domain for the next registration."""
        if self._room == 0:
            made = self._made("DeleteDomain", url)
            if made is not None:
                self._home, self._room = made["domain_id"], ROOM
        self._room = max(self._room - 1, 0)
        return self._home

    def bootstrap_token(self, url: str) -> str | None:
        """A token for the next enrolment; None where none is issued."""
        made = self._sent(url, "IssueBootstrapToken", {"domain_id": self.home(url)})
        return None if made is None else made["token"]

    def answered(self, exchange: Exchange) -> None:
        """To be told of every answer."""
        same = self._standing.get(exchange.name) == exchange.parameters
        if same and exchange.status not in SPARED:
            del self._standing[exchange.name]

    def _made(self, name: str, url: str) -> Object | None:
        if name in REMOVALS:
            # never one that was removed before
            there = {"id": self._world.scratch.holding[2], "key": f"made.{next(self._numbers)}"}
            put = PUTS[REMOVALS.index(name)]
            return None if self._sent(url, put, there) is None else there
        if name == "DeleteNode":
            made = self._sent(url, "RegisterNode", {"domain_id": self.home(url)})
            return None if made is None else {"id": made["node_id"]}
        made = self._sent(url, "CreateDomain", {})
        return None if made is None else {"domain_id": made["id"]}

    def _sent(self, url: str, name: str, there: Object) -> Mapping[str, str] | None:
        """The answer of an operation that makes; None where it does not."""
        operation = CONTRACT.operations[name]
        path = operation.path.format(**there)
        token = self._world.permitted(name, there.get("id", there.get("domain_id", "")))
        headers = {**JSON, **bearer(str(token))}
        try:
            reply = self._send(url, path, headers, operation.method, body_now(name))
            made: Mapping[str, str] = json.loads(reply.body)
        except (OSError, HTTPException, ValueError):
            return None
        return made if reply.status // 100 == 2 else None
