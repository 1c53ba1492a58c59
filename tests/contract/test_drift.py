"""The drift gates hold, and each is shown to fail by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import flask
import pytest

from composer.identity import AddressedNode
from handlers import OPERATIONS
from handlers.answers import Answer
from handlers.operation import AnyOperation, OpenOperation, Operation, Request
from server.authoring.operations import signature_faults
from server.contract.document import METHODS, Contract
from server.settings import Settings
from server.wiring import wire
from tests.contract.drift import route_complaints

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


def complaints_of(operations: Mapping[str, AnyOperation]) -> list[str]:
    return [fault.sentence for fault in signature_faults(CONTRACT, operations)]


def test_every_operation_takes_the_declared_parameters_in_order() -> None:
    assert complaints_of(OPERATIONS) == []


def renamed(node_id: UUID, name: str, body: Mapping[str, Any]) -> None: ...


def retyped(node_id: UUID, key: int, body: Mapping[str, Any]) -> None: ...


def optional(node_id: UUID, key: str | None = None, body: Mapping[str, Any] = ()) -> None: ...  # type: ignore[assignment]


def swapped(node_id: UUID, body: Mapping[str, Any], key: str) -> None: ...


def bodiless(node_id: UUID, key: str) -> None: ...


def with_another_body(node_id: UUID, key: str, body: dict[str, Any]) -> None: ...


def with_one_more(node_id: UUID, key: str, body: Mapping[str, Any], limit: int) -> None: ...


@pytest.mark.parametrize(
    "parse",
    [renamed, retyped, optional, swapped, bodiless, with_another_body, with_one_more],
    ids=lambda function: function.__name__,
)
def test_a_function_that_takes_other_parameters_is_named(parse: Callable[..., Any]) -> None:
    complaints = complaints_of(with_parse("PutNodeStateReport", parse))
    assert len(complaints) == 1 and complaints[0].startswith("PutNodeStateReport:")


def test_a_body_of_an_operation_that_takes_other_parameters_is_named() -> None:
    def body(request: Request, node: AddressedNode, limit: int | None = None) -> Answer:
        raise AssertionError("not called here")

    complaints = complaints_of(
        {**OPERATIONS, "GetNodeState": replace(gated("GetNodeState"), handler=body)}
    )
    assert complaints == [
        "GetNodeState: the handler takes (limit: int | None = None), the contract declares ()"
    ]


def test_another_spelling_of_a_type_is_the_same_type() -> None:
    def page(addressed: None, limit: int, cursor: str | None = None) -> None: ...

    page.__annotations__["cursor"] = "None | str"
    assert complaints_of(with_parse("ListDomains", page)) == []


def test_a_type_that_is_not_imported_is_named() -> None:
    def page(addressed: None, limit: int, cursor: str | None = None) -> None: ...

    page.__annotations__["limit"] = "Missing"
    (complaint,) = complaints_of(with_parse("ListDomains", page))
    assert complaint.startswith("ListDomains: a type of the handler is not imported")


def with_parse(name: str, parse: Callable[..., Any]) -> dict[str, AnyOperation]:
    return {**OPERATIONS, name: replace(gated(name), parse=parse)}


def test_a_way_that_reads_another_path_parameter_is_named() -> None:
    moved = replace(gated("GetDomain"), way=gated("GetNodeState").way)
    assert "GetDomain: the path has no parameter id, which gate 1a reads" in complaints_of(
        {**OPERATIONS, "GetDomain": moved}
    )


def test_a_body_without_refusals_is_named() -> None:
    bare = replace(gated("CreateDomain"), body_refusals=None)
    assert complaints_of({**OPERATIONS, "CreateDomain": bare}) == [
        "CreateDomain: the contract declares a body, the operation no refusals of it"
    ]


def gated(name: str) -> Operation:
    operation = OPERATIONS[name]
    assert isinstance(operation, Operation)
    return operation


def test_what_is_served_is_what_is_declared() -> None:
    assert route_complaints(served_routes(wire(Settings()).app), declared_routes()) == []


def test_a_url_that_the_file_lacks_is_named() -> None:
    served = {**declared_routes(), "/debug": {"GET"}}
    assert route_complaints(served, declared_routes()) == ["/debug is served and not declared"]


def test_every_operation_that_takes_a_token_is_gated_and_no_other() -> None:
    without_token = [
        name
        for name, operation in OPERATIONS.items()
        if isinstance(operation, OpenOperation)
        or (isinstance(operation, Operation) and operation.way.caller_in_body)
    ]
    assert sorted(OPERATIONS.keys() - set(without_token)) == sorted(SECURED)


def test_the_receipt_of_a_service_without_a_dsn_is_incomplete_and_says_what_is_missing() -> None:
    receipt = wire(Settings()).receipt
    assert not receipt.complete
    assert receipt.missing == ("SnapshotProvider", "RelationChecker", "NodeRepo")


def test_the_entry_point_goes_through_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    """wsgi.py serves the very application that ``wire`` built, whose receipt is the one shown."""
    import importlib

    import server.wiring

    built = wire(Settings())
    monkeypatch.setattr(server.wiring, "wire", lambda settings, contract: replace(built))
    for name in ("PLEXSPHERE_DSN",):
        monkeypatch.delenv(name, raising=False)
    module = importlib.reload(importlib.import_module("wsgi"))
    assert module.application is built.app
