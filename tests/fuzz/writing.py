"""Cases that write, made so that they can succeed, and so that they leave the sample alone."""

from __future__ import annotations

from secrets import token_hex
from typing import Any, Protocol
from uuid import UUID

from composer.identity import NIL
from composer.registry import EVERY_DOMAIN, node_cursor
from tests.bodies import FRESH
from tests.fuzz.scratch import PROJECT, PUTS, REVOKE, WRITES
from tests.fuzz.supply import Object, Supply
from tests.fuzz.world import NOWHERE, World


class Case(Protocol):
    """The parts of a case that are read and changed."""

    path_parameters: Any
    headers: Any
    query: Any
    body: Any


class Writing:
    """Aims what writes at objects of its own; for one process."""

    def __init__(self, world: World, supply: Supply | None = None) -> None:
        self._world = world
        self.supply = supply or Supply(world)
        self._kept = {*world.kept, *world.tokens, *world.domain_ids}

    def prepare(self, name: str, case: Case, valid: bool, url: str) -> bool:
        """``case`` is about to be sent; whether it can still end as it was meant to."""
        values = case.path_parameters or {}
        found: Object | None = {}
        if name in WRITES and not self._kept.isdisjoint(map(str, values.values())):
            found = self._own(name, url)
            nothing = dict.fromkeys(values.keys() - {"key"}, NOWHERE)
            self._redirect(name, case, found or nothing, valid)
        if valid:
            self._mend(name, case, values)
        if valid and name == "PostRegister" and isinstance(case.body, dict):
            case.body |= {
                "bootstrap_token": self.supply.bootstrap_token(url),
                "project_id": PROJECT,
            }
        return found is not None

    def _own(self, name: str, url: str) -> Object | None:
        """An object that may be written to, by path parameter; None where there is none left."""
        scratch = self._world.scratch
        if name == "RegisterNode":
            return {"domain_id": self.supply.home(url)}
        if name == "PatchDomain":
            return {"domain_id": scratch.home}
        if name == "RotateNodeKey":
            return {"id": scratch.rotating[0]}
        if name in PUTS:
            return {"id": scratch.holding[0]}
        if name == REVOKE:
            return {"id": scratch.objects(name)[0]}
        return self.supply.removable(name, url)

    def _redirect(self, name: str, case: Case, found: Object, valid: bool) -> None:
        """The key of an entry is the case's own where it may be what is wrong with it."""
        meant = self._token(name, case.path_parameters)
        case.path_parameters |= found if valid else {k: found[k] for k in found.keys() - {"key"}}
        token = self._token(name, found)
        # a stranger's stays, and one that was made to be refused
        if token and case.headers.get("Authorization") == f"Bearer {meant}":
            case.headers["Authorization"] = f"Bearer {token}"

    def _token(self, name: str, there: Object) -> str | None:
        return self._world.permitted(name, there.get("id", there.get("domain_id", "")))

    def _mend(self, name: str, case: Case, given: Any) -> None:
        """The values that no schema has: free ranges, and cursors that a list gave."""
        if isinstance(case.body, dict):
            case.body |= FRESH.get(name, dict)()
        if case.headers and "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = token_hex(16)
        if name == "ListDomains" and case.query and "cursor" in case.query:
            case.query["cursor"] = node_cursor(NIL, NIL)
        if name == "ListNodes" and case.query and "cursor" in case.query:
            case.query.pop("domain_id", None)
            case.query["cursor"] = node_cursor(EVERY_DOMAIN, NIL)
        if name == "ListDomainNodes" and case.query and "cursor" in case.query:
            try:
                domain = UUID(given["domain_id"])
            except ValueError:
                return
            case.query["cursor"] = node_cursor(domain, UUID(int=0))
