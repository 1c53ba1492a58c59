"""The drift gates hold, and each is shown to fail by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import flask
import pytest

from handlers import OPERATIONS
from handlers.answers import Answer, Call
from server.authoring.signatures import signature_complaints
from server.contract.document import METHODS, Contract
from server.settings import Settings
from server.wiring import wire
from tests.contract.attacked import NEVER_GRANTED
from tests.contract.drift import relation_complaints, route_complaints, table_complaints
from tests.contract.tables import AUTHZ, TABLES

CONTRACT = Contract.packaged()
SECURED = [name for name, operation in CONTRACT.operations.items() if operation.secured]


def served_routes(app: flask.Flask) -> dict[str, set[str]]:
    routes: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<", "{").replace(">", "}")
        routes.setdefault(path, set()).update((rule.methods or set()) - {"HEAD"})
    return routes


def declared_routes() -> dict[str, set[str]]:
    return {
        path: {method.upper() for method in item if method in METHODS}
        for path, item in CONTRACT.document["paths"].items()
    }


def test_every_handler_takes_the_declared_parameters_in_order() -> None:
    assert signature_complaints(CONTRACT.operations, OPERATIONS) == []


def renamed(ports: object, call: Call, node_id: str) -> Answer:
    raise NotImplementedError


def retyped(ports: object, call: Call, id: int) -> Answer:
    raise NotImplementedError


def optional(ports: object, call: Call, id: str | None = None) -> Answer:
    raise NotImplementedError


def swapped(ports: object, call: Call, key: str, id: str, body: Mapping[str, Any]) -> Answer:
    raise NotImplementedError


def bodiless(ports: object, call: Call, id: str) -> Answer:
    raise NotImplementedError


def embodied(ports: object, call: Call, id: str, body: Mapping[str, Any]) -> Answer:
    raise NotImplementedError


def with_another_body(ports: object, call: Call, id: str, body: dict[str, Any]) -> Answer:
    raise NotImplementedError


def with_one_more(ports: object, call: Call, id: str, limit: int) -> Answer:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("operation", "handler"),
    [
        ("GetNodeState", renamed),
        ("GetNodeState", retyped),
        ("GetNodeState", optional),
        ("PutNodeStateReport", swapped),
        ("PostNodeHeartbeat", bodiless),
        ("PostNodeHeartbeat", with_another_body),
        ("GetNodeState", embodied),
        ("GetNodeState", with_one_more),
        ("GetNodeState", lambda: None),
    ],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_a_handler_that_takes_anything_else_is_named(operation: str, handler: Any) -> None:
    complaints = signature_complaints(CONTRACT.operations, {**OPERATIONS, operation: handler})
    assert len(complaints) == 1 and complaints[0].startswith(f"{operation}:")


def test_what_is_served_is_what_is_declared() -> None:
    assert route_complaints(served_routes(wire(Settings()).app), declared_routes()) == []


def test_a_url_that_the_file_lacks_is_named() -> None:
    served = {**declared_routes(), "/debug": {"GET"}}
    assert route_complaints(served, declared_routes()) == ["/debug is served and not declared"]


def test_every_operation_is_in_every_coverage_table() -> None:
    assert table_complaints(list(CONTRACT.operations), TABLES) == []


def test_an_operation_in_no_table_is_named() -> None:
    before = table_complaints(list(CONTRACT.operations), TABLES)
    complaints = table_complaints([*CONTRACT.operations, "PostSurprise"], TABLES)
    assert [one for one in complaints if one not in before] == [
        f"PostSurprise is missing from the {title} table" for title in TABLES
    ]


def test_every_operation_that_takes_a_token_asks_for_a_relation() -> None:
    assert relation_complaints(SECURED, AUTHZ, NEVER_GRANTED) == []


@pytest.mark.parametrize("name", [one for one in SECURED if one not in NEVER_GRANTED])
def test_an_operation_that_any_token_would_open_is_named(name: str) -> None:
    complaint = f"{name} takes a token and asks for no relation"
    assert relation_complaints(SECURED, {**AUTHZ, name: None}, NEVER_GRANTED) == [complaint]


def test_of_those_that_ask_for_no_relation_only_the_events_are_excused() -> None:
    assert relation_complaints([*SECURED, "PostSurprise"], AUTHZ, ()) == [
        f"{name} takes a token and asks for no relation"
        for name in ("GetNodeEvents", "PostSurprise")
    ]


def test_the_receipt_of_a_service_without_a_dsn_is_incomplete_and_says_what_is_missing() -> None:
    receipt = wire(Settings()).receipt
    assert not receipt.complete
    assert receipt.missing == ("SnapshotProvider", "RelationChecker", "NodeRepo")


def test_the_entry_point_goes_through_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    """wsgi.py serves the very application that ``wire`` built, whose receipt is the one shown."""
    import importlib

    import server.wiring

    built = wire(Settings())
    monkeypatch.setattr(server.wiring, "wire", lambda settings: replace(built))
    for name in ("PLEXSPHERE_DSN",):
        monkeypatch.delenv(name, raising=False)
    module = importlib.reload(importlib.import_module("wsgi"))
    assert module.application is built.app
