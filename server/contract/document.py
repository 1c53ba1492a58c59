"""The contract: the bytes of the file, its operations and their compiled validators.

All that the service checks at runtime follows from ``api/plexsphere-v1.yaml`` through this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from typing import Any

from server.contract.blocks import BlockContract, block_contract
from server.contract.errors import (
    ContractError,
    ContractFault,
    FaultCollector,
    PartError,
    read_flag,
    read_size,
    read_status,
)
from server.contract.parameters import ParameterContract, parameter_contract, text_type
from server.contract.pointers import (
    Path,
    deepest_path,
    format_pointer,
    parse_pointer,
    resolve_pointer,
    schema_reference,
)
from server.contract.schemas import Direction, SchemaCompiler, Validator, ValueFault, follow
from server.contract.unserved import UNSERVED, UnservedRequest, unserved_requests
from server.contract.yaml_file import YamlFault, duplicate_keys, read_yaml

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
CONTRACT_FILE = "plexsphere-v1.yaml"
BODY_MAX = "x-max-body-bytes"
DEFAULT_BODY_MAX = 8_192  # bytes, where the file has no BODY_MAX
HEADER_TYPES = ("string", "integer")  # the types that server/http/response_validation.py reads


@dataclass(frozen=True, slots=True)
class HeaderContract:
    """A declared response header; its text is read by its type before it is validated."""

    name: str
    required: bool
    schema_type: str
    validator: Validator

    def fault(self, text: str) -> ValueFault | None:
        """The first rule that a text of the header breaks, or None."""
        is_number = self.schema_type == "integer" and text.isascii() and text.isdigit()
        return self.validator.fault(int(text) if is_number else text)


@dataclass(frozen=True, slots=True)
class MediaContract:
    """The content of one media type; ``blocks`` where it can be validated block by block.

    ``events`` has the schema of each type of event of a stream (``server/events/frames.py``).
    """

    validator: Validator
    blocks: BlockContract | None
    events: Mapping[str, Validator]


@dataclass(frozen=True, slots=True)
class ResponseContract:
    """One declared status; no ``media`` means no body."""

    media: Mapping[str, MediaContract]
    headers: tuple[HeaderContract, ...]
    problem_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BodyContract:
    """A declared request body; ``max_bytes`` counts the bytes after inflation."""

    media: Mapping[str, Validator]
    max_bytes: int


@dataclass(frozen=True, slots=True)
class OperationContract:
    """One operation of the file; ``strict_query`` refuses query parameters it does not declare."""

    operation_id: str
    method: str
    path: str
    secured: bool
    schemes: frozenset[str]
    strict_query: bool
    parameters: tuple[ParameterContract, ...]
    body: BodyContract | None
    responses: Mapping[int, ResponseContract]

    @property
    def produces(self) -> frozenset[str]:
        """The media types of what is asked for, which is no refusal."""
        return frozenset(
            media
            for status, response in self.responses.items()
            if status < 400
            for media in response.media
        )


def packaged_contract() -> bytes:
    """The bytes of the file that was installed with this code."""
    return resources.files("api").joinpath(CONTRACT_FILE).read_bytes()


class Contract:
    """The contract of one process. Raises ContractError with every fault of the file."""

    def __init__(self, raw: bytes, document: dict[str, Any] | None = None) -> None:
        """``document`` is ``raw`` where it was read before."""
        self.raw = raw
        self.document = _read(raw) if document is None else document
        self._faults = FaultCollector(self.document)
        self._schemas = SchemaCompiler(self.document, self._faults.add)
        self._follow = partial(follow, self.document)
        self._known_responses: dict[int, ResponseContract] = {}
        for schema in self.document.get("components", {}).get("schemas", {}).values():
            with self._faults.part(schema):
                self._schemas.check(schema)
        self.operations = {operation.operation_id: operation for operation in self._operations()}
        self.unserved: tuple[UnservedRequest, ...] = ()
        with self._faults.part(self.document.get(UNSERVED, ())):
            self.unserved = unserved_requests(self.document)
        with self._faults.part(self.document):
            self.problem = self._schemas.compile({"$ref": "#/components/schemas/Problem"})
        self._schemas.check_defaults()
        self._faults.raise_faults()

    @classmethod
    @cache
    def packaged(cls) -> Contract:
        """The file that was installed with this code, read once a process."""
        return cls(packaged_contract())

    @property
    def version(self) -> str:
        """``info.version``."""
        return str(self.document["info"]["version"])

    def methods_of(self, path: str) -> tuple[str, ...]:
        """The methods of a path, in the order of the file; HEAD follows GET."""
        declared = [method.upper() for method in self.document["paths"][path] if method in METHODS]
        return tuple(
            name
            for method in declared
            for name in ((method, "HEAD") if method == "GET" else (method,))
        )

    def path_of_rule(self, rule: str, schema: Path) -> Path:
        """The place of a rule that an answer breaks; ``schema`` is the path of its schema.

        A rule that only the translation has leads to the ``format`` or the schema that it is of.
        """
        root, number, *inner = parse_pointer(f"#{rule}")
        if root == "definitions":
            schema = parse_pointer(self._schemas.references()[int(number)])
        path = deepest_path(self.document, (*schema, *inner))
        part = resolve_pointer(self.document, f"#{format_pointer(path)}")
        is_schema = isinstance(part, dict) and "format" in part
        return (*path, "format") if is_schema else path

    def _operations(self) -> Iterator[OperationContract]:
        names: set[str] = set()
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                if method not in METHODS:
                    continue
                with self._faults.part(operation):
                    name = operation.get("operationId")
                    if name is None:
                        raise PartError(f"{method} {path} has no operationId")
                    if name in names:
                        sentence = f"the operationId {name} is repeated"
                        raise PartError(sentence, operation, "operationId")
                    names.add(name)
                    yield self._operation(path=path, method=method, item=item, operation=operation)

    def _operation(
        self, path: str, method: str, item: Mapping[str, Any], operation: Mapping[str, Any]
    ) -> OperationContract:
        declared = [*item.get("parameters", ()), *operation.get("parameters", ())]
        parameters = filter(None, map(self._parameter, declared))
        # An operation's own parameter replaces that of its path.
        by_name = {(parameter.kind, parameter.name): parameter for parameter in parameters}
        security = operation.get("security", self.document.get("security", []))
        return OperationContract(
            operation_id=operation["operationId"],
            method=method.upper(),
            path=path,
            secured=bool(security),
            schemes=frozenset(name for demand in security for name in demand),
            strict_query=read_flag(operation, "x-strict-query"),
            parameters=tuple(by_name.values()),
            body=self._body(operation.get("requestBody")),
            responses=dict(self._responses(operation["responses"])),
        )

    def _parameter(self, part: Mapping[str, Any]) -> ParameterContract | None:
        with self._faults.part(part):
            parameter = self._follow(part)
            with self._faults.part(parameter):
                validator = self._schemas.compile(parameter["schema"], Direction.REQUEST)
                return parameter_contract(parameter, self._follow, validator)
        return None

    def _body(self, part: Mapping[str, Any] | None) -> BodyContract | None:
        if part is None:
            return None
        body = self._follow(part)
        with self._faults.part(body):
            if not body.get("required", False):
                raise PartError("a request body needs required: true")
            max_bytes = read_size(body, BODY_MAX, DEFAULT_BODY_MAX)
            return BodyContract(dict(self._body_media(body["content"])), max_bytes)
        return None

    def _body_media(self, content: Mapping[str, Any]) -> Iterator[tuple[str, Validator]]:
        for name, media in content.items():
            with self._faults.part(media):
                yield name, self._schemas.compile(media["schema"], Direction.REQUEST)

    def _responses(self, responses: Mapping[str, Any]) -> Iterator[tuple[int, ResponseContract]]:
        for status, part in responses.items():
            with self._faults.part(part):
                response = self._follow(part)
                with self._faults.part(response):
                    yield read_status(responses, status), self._response(response)

    def _response(self, response: Mapping[str, Any]) -> ResponseContract:
        known = self._known_responses.get(id(response))
        if known is None:
            known = self._known_responses[id(response)] = ResponseContract(
                media=dict(self._response_media(response.get("content", {}))),
                headers=tuple(self._headers(response.get("headers", {}))),
                problem_codes=tuple(response.get("x-problem-codes", ())),
            )
        return known

    def _response_media(self, content: Mapping[str, Any]) -> Iterator[tuple[str, MediaContract]]:
        for name, media in content.items():
            with self._faults.part(media):
                schema = media["schema"]
                blocks = block_contract(schema, self._follow, self._schemas)
                validator, events = self._schemas.compile(schema), self._events(schema)
                yield name, MediaContract(validator, blocks, events)

    def _events(self, schema: Mapping[str, Any]) -> Mapping[str, Validator]:
        """The schema of each type, where the file tells types apart (``discriminator``)."""
        mapping = self._follow(schema).get("discriminator", {}).get("mapping", {})
        found = {}
        for name, target in mapping.items():
            try:
                found[name] = self._schemas.compile({"$ref": schema_reference(target)})
            except PartError as error:
                raise PartError(str(error), mapping, name) from error
        return found

    def _headers(self, headers: Mapping[str, Any]) -> Iterator[HeaderContract]:
        for name, part in headers.items():
            with self._faults.part(part):
                header = self._follow(part)
                with self._faults.part(header):
                    yield self._header(name, header)

    def _header(self, name: str, header: Mapping[str, Any]) -> HeaderContract:
        schema_type = text_type(header["schema"], self._follow)
        if schema_type not in HEADER_TYPES:
            raise PartError(f"a header of type {schema_type} has no check", header, "schema")
        return HeaderContract(
            name=name,
            required=header.get("required", False),
            schema_type=schema_type,
            validator=self._schemas.compile(header["schema"]),
        )


def _read(raw: bytes) -> dict[str, Any]:
    try:
        root, document = read_yaml(raw)
        for key in duplicate_keys(root):
            raise YamlFault.at(key, f"the key {key.value} is repeated")
    except YamlFault as fault:
        place = f"{CONTRACT_FILE}:{fault.line + 1}:{fault.column + 1}"
        raise ContractError([ContractFault((), f"{place}: {fault}")]) from fault
    if "paths" not in document:
        raise ContractError([ContractFault((), f"{CONTRACT_FILE}: not an OpenAPI document")])
    return document
