"""Connexion's API from the contract, which is validated before a start and not again here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connexion.apis.flask_api import FlaskApi
from connexion.options import ConnexionOptions
from connexion.resolver import Resolver
from connexion.spec import OpenAPISpecification

from server.contract.document import Contract, OperationContract


class ContractSpecification(OpenAPISpecification):  # type: ignore[misc]
    """The part of the contract by which Connexion routes and converts.

    Connexion copies the whole of what it gets, and this is a fraction. It converts a parameter by
    the ``type`` in its schema, so each has the type that the contract found. A path's own
    parameters are those of its operations.
    """

    def __init__(self, contract: Contract) -> None:
        paths: dict[str, dict[str, Any]] = {}
        for operation in contract.operations.values():
            method = operation.method.lower()
            declared = contract.document["paths"][operation.path][method]
            routed = _kept(declared, "operationId", "security") | _parts(operation)
            paths.setdefault(operation.path, {})[method] = routed
        document = _kept(contract.document, "openapi", "info", "servers", "security")
        schemes = contract.document.get("components", {}).get("securitySchemes", {})
        components = {"securitySchemes": schemes}
        super().__init__({**document, "paths": paths, "components": components})

    @classmethod
    def _validate_spec(cls, spec: object) -> None:
        """Do nothing: server/authoring/shape.py has validated the contract before."""


def _kept(part: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: part[key] for key in keys if key in part}


def _parts(operation: OperationContract) -> dict[str, Any]:
    """Parameters, and the media types of answers and body; our own code has the schemas."""
    parts: dict[str, Any] = {
        "parameters": [
            {
                "name": parameter.name,
                "in": parameter.kind,
                "required": parameter.required,
                "explode": parameter.explode,
                "schema": parameter.plain_schema,
            }
            for parameter in operation.parameters
        ],
        "responses": {
            str(status): {"content": {media: {} for media in response.media}}
            for status, response in operation.responses.items()
        },
    }
    if operation.body is not None:
        parts["requestBody"] = {"content": {media: {} for media in operation.body.media}}
    return parts


class ContractApi(FlaskApi):  # type: ignore[misc]
    """A FlaskApi of a contract; Connexion's own constructor would read and validate a file."""

    def __init__(
        self, contract: Contract, resolver: Resolver, validator_map: dict[str, Any]
    ) -> None:
        self.specification = ContractSpecification(contract)
        self.options = ConnexionOptions(
            {"swagger_ui": False, "serve_spec": False}, oas_version=self.specification.version
        )
        self.resolver = resolver
        self.validator_map = validator_map
        self.validate_responses = True
        self.debug = self.strict_validation = self.pythonic_params = False
        self.resolver_error_handler = self.pass_context_arg_name = None
        self.security_handler_factory = self.make_security_handler_factory(None)
        self._set_base_path(None)
        self.add_paths()
