"""Connexion's API from the contract, which is validated before a start and not again here."""

from __future__ import annotations

from typing import Any

from connexion.apis.flask_api import FlaskApi
from connexion.options import ConnexionOptions
from connexion.resolver import Resolver
from connexion.spec import OpenAPISpecification

from server.contract.document import Contract


class ContractSpecification(OpenAPISpecification):  # type: ignore[misc]
    """The contract as Connexion reads it.

    Connexion converts a parameter by the ``type`` in its schema, so combinations of schemas are
    replaced by the type that the contract found. A path's own parameters are those of its
    operations.
    """

    def __init__(self, contract: Contract) -> None:
        super().__init__(contract.document)
        for operation in contract.operations.values():
            item = self["paths"][operation.path]
            item.pop("parameters", None)
            item[operation.method.lower()]["parameters"] = [
                {
                    "name": parameter.name,
                    "in": parameter.kind,
                    "required": parameter.required,
                    "explode": parameter.explode,
                    "schema": parameter.plain_schema,
                }
                for parameter in operation.parameters
            ]

    @classmethod
    def _validate_spec(cls, spec: object) -> None:
        """server/authoring/shape.py does it, before the contract is compiled."""


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
