"""An operation of the contract, as far as its code depends on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from server.contract import Contract, OperationContract
from server.dev.breaking.documents import Document, Place
from server.parameters import ParameterContract
from server.signatures import annotation, python_name

NODE_PATH = re.compile(r"/v1/nodes/\{id\}(/|$)")
DOMAIN_PATH = re.compile(r"/v1/domains/\{domain_id\}(/|$)")
FRAMEWORK_HEADERS = {"X-Correlation-Id"}
NOT_PROVISIONED, AWAY = 501, 503


class ScaffoldError(Exception):
    """Why there is nothing to print, in one sentence for the author of the contract."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared path or query parameter; ``given`` when a value always arrives."""

    name: str
    annotation: str
    given: bool

    @property
    def declared(self) -> str:
        """As it stands in a signature."""
        return f"{self.name}: {self.annotation}{'' if self.given else ' = None'}"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation, as far as its code depends on it; ``status`` is its success, if it has one.

    ``about`` is the Node or the Domain that it addresses, so that the gates stand before it and
    both outcomes leave an audit row; ``refusal`` is the code of its gate 0, empty where it has
    none; ``may_be_away`` says that a dependency that cannot be reached is a declared answer.
    """

    name: str
    function: str
    slice: str
    noun: str
    summary: str
    secured: bool
    about: str
    method: str
    path: str
    refusal: str
    parameters: tuple[Parameter, ...]
    status: int | None
    media: str | None
    headers: Mapping[str, str]
    takes_a_body: bool
    may_be_away: bool

    @property
    def gated(self) -> bool:
        """Whether a relation is asked for."""
        return bool(self.about)

    @property
    def id_parameter(self) -> str:
        """What the path calls the id of what is addressed."""
        return {"node": "id", "domain": "domain_id"}.get(self.about, "")

    @property
    def relation(self) -> str:
        """A Node's own agent, or whoever may look at a Domain or change it."""
        if self.about == "node":
            return "node-agent"
        return "domain-view" if self.method == "GET" else "domain-edit"

    @property
    def audit_relation(self) -> str:
        """What its audit rows call it."""
        verb = self.function.partition("_")[0]
        return f"{self.slice}.{'read' if verb in ('get', 'list') else verb}"


def described(contract: Contract, declared: OperationContract) -> Operation:
    """What the templates ask of an operation. Raises ScaffoldError for a name Python keeps."""
    document = Document(contract.document, "the contract")
    item = document.mapping(document.mapping(document.root.child("paths"))[declared.path])
    members = document.mapping(item[declared.method.lower()])
    verb, *words = re.findall(r"[A-Z][a-z0-9]*", declared.operation_id) or [declared.operation_id]
    words = words or [verb]
    status = next((one for one in declared.responses if 200 <= one < 300), None)
    success = declared.responses[status].media if status is not None else {}
    about = _about(declared)
    summary = members["summary"].value if "summary" in members else declared.operation_id
    return Operation(
        name=declared.operation_id,
        function="_".join(dict.fromkeys([verb, *words])).lower(),
        slice="_".join(words).lower(),
        noun="".join(words),
        summary=summary.rstrip("."),
        secured=declared.secured,
        about=about,
        method=declared.method.upper(),
        path=declared.path,
        refusal=_refusal(declared, about, "_".join(words).lower()),
        parameters=tuple(
            _parameter(one)
            for one in declared.parameters
            if one.kind in ("path", "query")  # what it may know of the headers is in its Call
        ),
        status=status,
        media=next(iter(success), None),
        headers=_headers(document, document.mapping(members["responses"]).get(str(status))),
        takes_a_body="requestBody" in members,
        may_be_away=AWAY in declared.responses,
    )


def _about(declared: OperationContract) -> str:
    if not declared.secured:
        return ""
    if NODE_PATH.match(declared.path):
        return "node"
    return "domain" if DOMAIN_PATH.match(declared.path) else ""


def _refusal(declared: OperationContract, about: str, named: str) -> str:
    """The declared code of gate 0; one of its own where none is declared yet."""
    response = declared.responses.get(NOT_PROVISIONED)
    if response is not None and response.problem_codes:
        return response.problem_codes[0]
    return f"{named}_not_provisioned" if about else ""


def _parameter(declared: ParameterContract) -> Parameter:
    if not declared.name.isidentifier():
        raise ScaffoldError(f"parameter {declared.name} cannot be a name in Python.")
    python = annotation(declared)
    if python.startswith("no type"):
        raise ScaffoldError(f"parameter {declared.name}: {python}.")
    return Parameter(python_name(declared.name), python, declared.given)


def _headers(document: Document, response: Place | None) -> dict[str, str]:
    """The headers an answer declares, with their examples, but for what the framework sets."""
    found: dict[str, str] = {}
    for name, header in document.mapping(document.mapping(response).get("headers")).items():
        example = document.mapping(header).get("example")
        if name not in FRAMEWORK_HEADERS:
            found[name] = str(example.value) if example else ""
    return found
