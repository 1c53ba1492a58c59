"""What the contract says of Problem codes, wherever one stands in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.contract import Contract


class ProblemCodes:
    """``known`` are those of the Problem itself; ``answers`` are component responses by codes.

    ``examples`` and ``details`` are by code: what the component is called, what it says.
    """

    def __init__(self, contract: Contract) -> None:
        components = contract.document.get("components", {})
        problem = components.get("schemas", {}).get("Problem", {})
        self.known: list[str] = problem.get("properties", {}).get("code", {}).get("enum", [])
        shown = components.get("examples", {}).items()
        values = {name: one.get("value") for name, one in shown}
        problems: dict[str, dict[str, Any]] = {
            name: value
            for name, value in values.items()
            if isinstance(value, dict) and {"code", "detail"} <= value.keys()
        }
        self.examples = {value["code"]: name for name, value in problems.items()}
        self.details = {value["code"]: str(value["detail"]) for value in problems.values()}
        responses: Mapping[str, Any] = components.get("responses", {})
        self.answers = {
            tuple(one.get("x-problem-codes", ())): name for name, one in responses.items()
        }
        self.titles = responses.keys()
