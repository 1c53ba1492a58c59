"""The contract, read once: the file's bytes, its operations and their compiled validators.

What the service checks at runtime follows from ``api/plexsphere-v1.yaml`` through this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from server.contract.blocks import BlockContract, taken_apart
from server.contract.errors import (
    ContractError,
    placed_in,
    reading,
    size,
    status_number,
    switch,
)
from server.contract.parameters import ParameterContract, described
from server.contract.schemas import SchemaCompiler, Validator

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
CONTRACT_FILE = "plexsphere-v1.yaml"
BODY_MAX = "x-max-body-bytes"
DEFAULT_BODY_MAX = 8_192  # where it is not there
HEADER_TYPES = ("string", "integer")  # what server/http/response_validation.py reads of a text
LONGEST_CHAIN = 16  # references to references; more of them is a ring


@dataclass(frozen=True, slots=True)
class HeaderContract:
    """A declared response header; its type is known so that its text can be read first."""

    name: str
    required: bool
    schema_type: str
    validator: Validator


@dataclass(frozen=True, slots=True)
class MediaContract:
    """What may stand in a body of one media type; ``blocks`` where its schema comes apart."""

    validator: Validator
    blocks: BlockContract | None


@dataclass(frozen=True, slots=True)
class ResponseContract:
    """One declared status: no ``media`` means no body."""

    media: Mapping[str, MediaContract]
    headers: tuple[HeaderContract, ...]
    problem_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BodyContract:
    """A declared request body; ``max_bytes`` counts what is there after inflation."""

    media: Mapping[str, Validator]
    max_bytes: int


@dataclass(frozen=True, slots=True)
class OperationContract:
    """One operation of the file; ``strict_query`` refuses query parameters it does not declare."""

    operation_id: str
    method: str
    path: str
    secured: bool
    strict_query: bool
    parameters: tuple[ParameterContract, ...]
    body: BodyContract | None
    responses: Mapping[int, ResponseContract]

    @property
    def produces(self) -> frozenset[str]:
        """The media types of answers that are no Problem."""
        return frozenset(
            media for response in self.responses.values() for media in response.media
        ) - {"application/problem+json"}


def packaged_contract() -> bytes:
    """The bytes of the file that was installed with this code."""
    return resources.files("api").joinpath(CONTRACT_FILE).read_bytes()


class Contract:
    """The contract of one process. Raises ContractError with the path of what is wrong."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.document: dict[str, Any] = _parse(raw)
        with placed_in(self.document):
            self._schemas = SchemaCompiler(self.document.get("components", {}).get("schemas", {}))
            self.operations = {one.operation_id: one for one in self._operations()}
            self.problem = self._schemas.compile({"$ref": "#/components/schemas/Problem"})

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
        """The methods a path answers to, in the order of the file; HEAD comes with GET."""
        declared = [method.upper() for method in self.document["paths"][path] if method in METHODS]
        return tuple(
            name for one in declared for name in ((one, "HEAD") if one == "GET" else (one,))
        )

    def _operations(self) -> Iterator[OperationContract]:
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                if method in METHODS:
                    with reading(operation):
                        read = self._operation(path, method, item, operation)
                    yield read

    def _operation(
        self, path: str, method: str, item: Mapping[str, Any], operation: Mapping[str, Any]
    ) -> OperationContract:
        declared = [*item.get("parameters", []), *operation.get("parameters", [])]
        return OperationContract(
            operation_id=operation["operationId"],
            method=method.upper(),
            path=path,
            secured=bool(operation.get("security", self.document.get("security", []))),
            strict_query=switch(operation, "x-strict-query"),
            parameters=tuple(self._parameter(self._resolve(one)) for one in declared),
            body=self._body(self._resolve(operation.get("requestBody", {}))),
            responses={
                status_number(operation["responses"], status): self._response(
                    self._resolve(response)
                )
                for status, response in operation["responses"].items()
            },
        )

    def _parameter(self, parameter: Mapping[str, Any]) -> ParameterContract:
        with reading(parameter):
            schema = parameter["schema"]
            resolved = self._resolve(schema)
            items = self._resolve(resolved.get("items", {}))
            return described(parameter, resolved, items, self._schemas.compile(schema))

    def _body(self, body: Mapping[str, Any]) -> BodyContract | None:
        if not body:
            return None
        with reading(body):
            if not body.get("required", False):
                raise ContractError("a request body needs required: true")
            return BodyContract(
                media={
                    media: self._schemas.compile(one["schema"])
                    for media, one in body["content"].items()
                },
                max_bytes=size(body, BODY_MAX, DEFAULT_BODY_MAX),
            )

    def _response(self, response: Mapping[str, Any]) -> ResponseContract:
        with reading(response):
            headers = response.get("headers", {}).items()
            return ResponseContract(
                media={
                    media: self._media(one) for media, one in response.get("content", {}).items()
                },
                headers=tuple(self._header(name, self._resolve(one)) for name, one in headers),
                problem_codes=tuple(response.get("x-problem-codes", ())),
            )

    def _header(self, name: str, header: Mapping[str, Any]) -> HeaderContract:
        with reading(header):
            schema_type = self._resolve(header["schema"]).get("type", "string")
            if schema_type not in HEADER_TYPES:
                sentence = f"a header of type {schema_type} has no check"
                raise ContractError(sentence, header, "schema")
            return HeaderContract(
                name=name,
                required=header.get("required", False),
                schema_type=schema_type,
                validator=self._schemas.compile(header["schema"]),
            )

    def _media(self, media: Mapping[str, Any]) -> MediaContract:
        with reading(media):
            schema = media["schema"]
            blocks = taken_apart(schema, self._resolve, self._schemas.compile)
            return MediaContract(self._schemas.compile(schema), blocks)

    def _resolve(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        first, steps = node, 0
        while "$ref" in node:
            found: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node, steps = found, steps + 1
            if steps > LONGEST_CHAIN:
                raise ContractError(f"$ref {first['$ref']} leads to itself", first, "$ref")
        return node


class _OnceEach(yaml.CSafeLoader):
    """YAML lets the last of two equal keys win, which is never what was meant."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep)
        if len(found) < len(node.value):
            raise yaml.constructor.ConstructorError(problem="a key stands twice in one mapping")
        return found


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        document = yaml.load(raw, Loader=_OnceEach)
    except yaml.YAMLError as error:
        raise ContractError(f"{CONTRACT_FILE}: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict) or "paths" not in document:
        raise ContractError(f"{CONTRACT_FILE}: not an OpenAPI document")
    return document
