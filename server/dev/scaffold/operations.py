"""An operation of the contract, as far as its code depends on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from server.contract import Contract, OperationContract
from server.dev.breaking.documents import Document, Place
from server.dev.scaffold.declared import Parameter, body_members, parameter, varies
from server.signatures import python_name

JSON = "application/json"
NODE_PATH = re.compile(r"/v1/nodes/\{id\}(/|$)")
DOMAIN_PATH = re.compile(r"/v1/domains/\{domain_id\}(/|$)")
FRAMEWORK_HEADERS = {"X-Correlation-Id"}
NOT_PROVISIONED, AWAY = 501, 503


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation, as far as its code depends on it; ``status`` is its success, if it has one.

    ``about`` is the Node or the Domain that it addresses, else the platform where a token is asked
    for: gates stand before it, and both outcomes leave an audit row. ``refusal`` is the code of its
    gate 0, empty where it has none; ``may_be_away`` says that a dependency that cannot be reached
    is a declared answer, ``varies`` that no one answer shows all it may say.
    """

    name: str
    verb: str
    words: tuple[str, ...]
    summary: str
    about: str
    method: str
    path: str
    refusal: str
    parameters: tuple[Parameter, ...]
    takes_a_body: bool
    members: tuple[Parameter, ...]
    status: int | None
    media: str | None
    headers: Mapping[str, str]
    codes: Mapping[int, tuple[str, ...]]
    may_be_away: bool
    varies: bool

    @property
    def function(self) -> str:
        """Its handler."""
        return "_".join(dict.fromkeys([self.verb, *self.words])).lower()

    @property
    def slice(self) -> str:
        """What it is about, as a module is called."""
        return "_".join(self.words).lower()

    @property
    def asks(self) -> str:
        """The constant that says which relation it asks for."""
        return self.function.upper()

    @property
    def does(self) -> str:
        """What a port calls it."""
        verb = {"get": "read", "list": "page"}.get(self.verb, self.verb)
        return python_name(verb)

    @property
    def writes(self) -> bool:
        """Whether something is other than before."""
        return self.method != "GET"

    @property
    def id_parameter(self) -> str:
        """What the path calls the id of what is addressed."""
        return {"node": "id", "domain": "domain_id"}.get(self.about, "")

    @property
    def further(self) -> tuple[Parameter, ...]:
        """The other parameters."""
        return tuple(one for one in self.parameters if one.name != self.id_parameter)

    @property
    def relation(self) -> str:
        """A Node's own agent, or whoever may look at a Domain, change it or manage them all."""
        if self.about == "domain":
            return "domain-edit" if self.writes else "domain-view"
        return "node-agent" if self.about == "node" else "manage"

    @property
    def audit_relation(self) -> str:
        """What its audit rows call it."""
        return f"{self.slice}.{'read' if self.verb == 'get' else self.verb}"


def described(contract: Contract, declared: OperationContract) -> Operation:
    """What the templates ask of an operation. Raises ScaffoldError for a name Python keeps."""
    document = Document(contract.document, "the contract")
    item = document.mapping(document.mapping(document.root.child("paths"))[declared.path])
    members = document.mapping(item[declared.method.lower()])
    verb, *words = re.findall(r"[A-Z][a-z0-9]*", declared.operation_id) or [declared.operation_id]
    words = words or [verb]
    status = next((one for one in declared.responses if 200 <= one < 300), None)
    success = document.mapping(document.mapping(members["responses"]).get(str(status)))
    content = document.mapping(success.get("content"))
    about = _about(declared)
    summary = members["summary"].value if "summary" in members else declared.operation_id
    return Operation(
        name=declared.operation_id,
        verb=verb.lower(),
        words=tuple(words),
        summary=summary.rstrip("."),
        about=about,
        method=declared.method.upper(),
        path=declared.path,
        refusal=_refusal(declared, "_".join(words).lower()),
        parameters=tuple(_parameters(document, declared, [item, members])),
        takes_a_body="requestBody" in members,
        members=body_members(document, members.get("requestBody")),
        status=status,
        media=next(iter(content), None),
        headers=_headers(document, success),
        codes={one: response.problem_codes for one, response in declared.responses.items()},
        may_be_away=AWAY in declared.responses,
        varies=varies(document, document.mapping(content.get(JSON)).get("schema")),
    )


def _about(declared: OperationContract) -> str:
    if not declared.secured:
        return ""
    if NODE_PATH.match(declared.path):
        return "node"
    return "domain" if DOMAIN_PATH.match(declared.path) else "platform"


def _refusal(declared: OperationContract, named: str) -> str:
    """The declared code of gate 0; one of its own where none is declared yet: what asks a port of
    its own can be without it, whoever may ask."""
    response = declared.responses.get(NOT_PROVISIONED)
    if response is not None and response.problem_codes:
        return response.problem_codes[0]
    return f"{named}_not_provisioned"


def _parameters(
    document: Document, declared: OperationContract, holders: list[Mapping[str, Place]]
) -> list[Parameter]:
    """Those of the path and the query: what a handler may know of the headers is in its Call."""
    written = {
        str(document.mapping(one)["name"].value): one
        for holder in holders
        for one in document.listing(holder.get("parameters"))
    }
    return [
        parameter(one, document, written.get(one.name))
        for one in declared.parameters
        if one.kind in ("path", "query")
    ]


def _headers(document: Document, response: Mapping[str, Place]) -> dict[str, str]:
    """The headers an answer declares, with their examples, but for what the framework sets."""
    found: dict[str, str] = {}
    for name, header in document.mapping(response.get("headers")).items():
        example = document.mapping(header).get("example")
        if name not in FRAMEWORK_HEADERS:
            found[name] = str(example.value) if example else ""
    return found
