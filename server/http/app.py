"""The WSGI application: Connexion built from the contract, with our own validation and errors.

Connexion checks security before parameters, so gates 0 and 1 run in its security handler. One error
handler turns every exception into a Problem. The doorkeeper decides whether an answer
may leave: as the ``after_request`` function, or called by what answers without Flask.
docs/design.md, Library facts, says what was tried.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import flask
from connexion.apis.flask_utils import flaskify_endpoint, flaskify_path
from connexion.decorators.response import ResponseValidator as ConnexionResponseValidator
from connexion.exceptions import ProblemException
from connexion.lifecycle import ConnexionRequest
from connexion.operations import AbstractOperation
from connexion.security import FlaskSecurityHandlerFactory
from flask import Response
from flask.globals import request_ctx
from werkzeug.exceptions import NotFound, default_exceptions

from composer.audit import AuditSink, NoAudit
from server.contract.document import Contract
from server.http import request_context
from server.http.application import Application, Front, response_of
from server.http.body_history import BodyHistory
from server.http.contract_api import ContractApi
from server.http.doorkeeper import Doorkeeper
from server.http.errors import reply_of_error
from server.http.operations import BoundOperations, OperationResolver
from server.http.reply import reply_of
from server.http.requests import body_validator, parameter_validator
from server.http.without_flask import WithoutFlask, has_query
from server.telemetry.metrics import Metrics
from server.telemetry.readiness import AnsweredPulls

# For operators: behind PLEXSPHERE_INTERNAL_BIND, where that is set.
INTERNAL = frozenset({"GetMetrics", "GetDocs", "GetDocsScript", "GetDocsStyle"})


def build_app(
    contract: Contract,
    bound: BoundOperations,
    metrics: Metrics,
    deadline_s: float,
    *,
    large_body_bytes: int,
    audit: AuditSink | None = None,
    history: BodyHistory | None = None,
    answer_deadline_s: float = math.inf,
    pulls: AnsweredPulls | None = None,
    internal_port: str = "",
) -> Application:
    """Build the application of one contract. This opens no connection.

    With an ``internal_port`` only requests that come by it find what is for operators.
    """
    internal = INTERNAL if internal_port else frozenset()
    front = Front("plexsphere", server_args={"static_folder": None})
    app: Application = front.app
    app.url_map.merge_slashes = False
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.before_request(
        lambda: _begin(
            deadline_s=deadline_s,
            answer_deadline_s=answer_deadline_s,
            internal=internal,
            internal_port=internal_port,
        )
    )
    api = _api_class(contract, bound)(
        contract,
        OperationResolver(contract, bound),
        {
            "parameter": parameter_validator(contract, bound.operations),
            "body": body_validator(contract, bound.operations),
            "response": _NoValidation,
        },
    )
    app.register_blueprint(api.blueprint)

    def answer_error(error: Exception) -> Response:
        return response_of(reply_of_error(contract, error))

    # By status too: Connexion registers a handler for each, and Flask prefers the more specific.
    for error in (Exception, ProblemException, *default_exceptions):
        app.register_error_handler(error, answer_error)
    doorkeeper = Doorkeeper(
        contract,
        metrics,
        audit or NoAudit(),
        large_body_bytes=large_body_bytes,
        history=history,
        pulls=pulls or AnsweredPulls(),
    )
    app.after_request(doorkeeper.check_answer)
    app.without_flask = WithoutFlask(
        contract=contract,
        bound=bound,
        doorkeeper=doorkeeper,
        start=lambda: request_context.start(deadline_s, answer_deadline_s),
        by_flask=internal,
    )
    return app


def _begin(
    deadline_s: float, answer_deadline_s: float, internal: frozenset[str], internal_port: str
) -> None:
    """Start the clock of a request, and refuse paths such as ``//livez``.

    Werkzeug routes that as ``/livez``, but the contract declares no such path. An
    ``internal`` operation is 404 on another port.
    """
    request_context.start(deadline_s, answer_deadline_s)
    path = request_context.environ()["PATH_INFO"]
    if not path.startswith("/") or path.startswith("//"):
        flask.request.url_rule = None
        raise NotFound
    operation = (flask.request.endpoint or "").rpartition(".")[2]
    if operation in internal and request_context.environ()["SERVER_PORT"] != internal_port:
        flask.request.url_rule = None
        raise NotFound
    request_context.set_operation(operation or None)


def _api_class(contract: Contract, bound: BoundOperations) -> type[ContractApi]:
    class GatedSecurity(FlaskSecurityHandlerFactory):  # type: ignore[misc]
        def get_bearerinfo_func(self, security_definition: object) -> Callable[..., object]:
            """Never called. Without it Connexion answers 401 with a body of its own."""
            return lambda token: None

        def verify_security(
            self, auth_funcs: object, function: Callable[[ConnexionRequest], Response]
        ) -> Callable[[ConnexionRequest], Response]:
            @functools.wraps(function)
            def gated(request: ConnexionRequest) -> Response:
                bound.authorize(request_context.operation_id() or "")
                return function(request)

            return gated

    class GatedApi(ContractApi):
        def _add_operation_internal(
            self, method: str, path: str, operation: AbstractOperation
        ) -> None:
            """Bind a view without Connexion's decorators where the path has all parameters.

            They build a second request, and parse and convert a query: a sixth of a pull's CPU.
            """
            declared = contract.operations[operation.operation_id]
            if has_query(declared):
                super()._add_operation_internal(method, path, operation)
                return
            self.blueprint.add_url_rule(
                flaskify_path(path, operation.get_path_parameter_types()),
                flaskify_endpoint(operation.operation_id),
                lambda **received: response_of(reply_of(bound.answer_of_path(declared, received))),
                methods=[method],
            )

        @staticmethod
        def make_security_handler_factory(pass_context_arg_name: object) -> GatedSecurity:
            return GatedSecurity(pass_context_arg_name)

        @classmethod
        def get_request(cls, *args: Any, **params: Any) -> ConnexionRequest:
            return _unread_request(params)

    return GatedApi


def _unread_request(path_params: Mapping[str, Any]) -> ConnexionRequest:
    """A request without its body: a 413 must not come before a 401.

    Where the contract declares a body, ``body_validator`` reads it after security.
    """
    context: dict[str, Any] = {}
    request_ctx.connexion_context = context  # type: ignore[attr-defined]
    return ConnexionRequest(
        flask.request.url,
        flask.request.method,
        headers=flask.request.headers,
        form={},
        query=flask.request.args,
        body=b"",
        json_getter=lambda: None,
        files={},
        path_params=path_params,
        context=context,
        cookies=flask.request.cookies,
    )


class _NoValidation(ConnexionResponseValidator):  # type: ignore[misc]
    """Switches off Connexion's validation of answers; the doorkeeper validates them all."""

    def validate_response(self, *args: object) -> bool:
        return True
