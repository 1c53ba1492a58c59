"""The WSGI application: Connexion built from the contract, with our own validation and errors.

Connexion checks security before parameters, so gates 0 and 1 run in its security handler. One error
handler turns every exception into a Problem. One ``after_request`` function, the doorkeeper,
decides whether an answer may leave. docs/design.md, Library facts, says what was tried.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import flask
import structlog
from connexion.apis.flask_utils import flaskify_endpoint, flaskify_path
from connexion.decorators.response import ResponseValidator as ConnexionResponseValidator
from connexion.exceptions import ProblemException
from connexion.lifecycle import ConnexionRequest
from connexion.operations import AbstractOperation
from connexion.security import FlaskSecurityHandlerFactory
from flask import Response
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, default_exceptions

from composer.audit import AuditSink, NoAudit
from handlers.operation import Authenticate, gate_1
from handlers.refusals import INTERNAL, NOT_PROVISIONED_KINDS, RefusalKind, Refused
from server.contract.document import Contract, OperationContract
from server.contract.unserved import code_of
from server.http import request_context
from server.http.application import Front
from server.http.body_history import BodyHistory
from server.http.contract_api import ContractApi
from server.http.doorkeeper import Doorkeeper, fallback_problem
from server.http.operations import BoundOperations, OperationResolver, respond_problem
from server.http.problems import FRAMEWORK
from server.http.requests import body_validator, check_request, parameter_validator
from server.telemetry.metrics import Metrics
from server.telemetry.readiness import AnsweredPulls

_log = structlog.stdlib.get_logger("plexsphere.http")

# Statuses of refusals before authentication, or of a path that names nothing.
_UNAUTHENTICATED = (400, 401, 501)


def build_app(
    contract: Contract,
    bound: BoundOperations,
    authenticate: Authenticate,
    metrics: Metrics,
    deadline_s: float,
    *,
    large_body_bytes: int,
    audit: AuditSink | None = None,
    history: BodyHistory | None = None,
    answer_deadline_s: float = math.inf,
    pulls: AnsweredPulls | None = None,
) -> flask.Flask:
    """Build the application of one contract. This opens no connection."""
    front = Front("plexsphere", server_args={"static_folder": None})
    app: flask.Flask = front.app
    app.url_map.merge_slashes = False
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.before_request(lambda: _begin(deadline_s, answer_deadline_s))
    api = _api_class(contract, bound, authenticate)(
        contract,
        OperationResolver(contract, bound),
        {
            "parameter": parameter_validator(contract, bound.operations),
            "body": body_validator(contract, bound.operations),
            "response": _NoValidation,
        },
    )
    app.register_blueprint(api.blueprint)
    answer_error = functools.partial(_answer_error, contract)
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
    return app


def _begin(deadline_s: float, answer_deadline_s: float) -> None:
    """Start the clock of a request, and refuse paths such as ``//livez``.

    Werkzeug routes that as ``/livez``, but the contract declares no such path.
    """
    request_context.start(deadline_s, answer_deadline_s)
    path = request_context.environ()["PATH_INFO"]
    if not path.startswith("/") or path.startswith("//"):
        flask.request.url_rule = None
        raise NotFound


def _api_class(
    contract: Contract, bound: BoundOperations, authenticate: Authenticate
) -> type[ContractApi]:
    def authorize() -> None:
        """Gates 0 and 1."""
        name = request_context.operation_id() or ""
        bound.gate_0(name)
        header = request_context.header("Authorization")
        headers = [] if header is None else [header]
        deadline = request_context.deadline()
        principal = gate_1(bound.operations[name], authenticate, headers, deadline)
        request_context.set_principal(principal)

    class GatedSecurity(FlaskSecurityHandlerFactory):  # type: ignore[misc]
        def get_bearerinfo_func(self, security_definition: object) -> Callable[..., object]:
            """Never called. Without it Connexion answers 401 with a body of its own."""
            return lambda token: None

        def verify_security(
            self, auth_funcs: object, function: Callable[[ConnexionRequest], Response]
        ) -> Callable[[ConnexionRequest], Response]:
            @functools.wraps(function)
            def gated(request: ConnexionRequest) -> Response:
                authorize()
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
            if any(parameter.kind == "query" for parameter in declared.parameters):
                super()._add_operation_internal(method, path, operation)
                return
            self.blueprint.add_url_rule(
                flaskify_path(path, operation.get_path_parameter_types()),
                flaskify_endpoint(operation.operation_id),
                _path_view(declared, bound, self.resolver.resolve(operation).function, authorize),
                methods=[method],
            )

        @staticmethod
        def make_security_handler_factory(pass_context_arg_name: object) -> GatedSecurity:
            return GatedSecurity(pass_context_arg_name)

        @classmethod
        def get_request(cls, *args: Any, **params: Any) -> ConnexionRequest:
            return _unread_request(params)

    return GatedApi


def _path_view(
    declared: OperationContract,
    bound: BoundOperations,
    view: Callable[..., Response],
    authorize: Callable[[], None],
) -> Callable[..., Response]:
    """The work of Connexion's decorators for an operation without a query, in the same order."""
    operation = bound.operations[declared.operation_id]

    def path_view(**path: str) -> Response:
        if declared.secured:
            authorize()
        check_request(declared, operation, path)
        return view(**path)

    return path_view


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


def _answer_error(contract: Contract, error: Exception) -> Response:
    """The Problem of any exception. Never raises."""
    try:
        return _problem_of(contract, error)
    except Exception as second_error:  # of the log, or of the Problem
        return fallback_problem(second_error)


def _problem_of(contract: Contract, error: Exception) -> Response:
    if isinstance(error, Refused):
        return _refuse(error)
    unserved = _unserved_kind(contract) if isinstance(error, NotFound) else None
    if unserved is not None:
        return _refuse(Refused(unserved, "this release does not serve it"))
    kind = _framework_kind(error)
    if kind is not None:
        allow = _allowed(contract) if isinstance(error, MethodNotAllowed) else ()
        return respond_problem(Refused(kind, type(error).__name__), allow)
    _log.error(
        "request_failed",
        operation=request_context.operation_id(),
        correlation_id=request_context.correlation_id(),
        exc_info=error,
    )
    return respond_problem(Refused(INTERNAL, type(error).__name__))


def _unserved_kind(contract: Contract) -> RefusalKind | None:
    """The 501 of a request that the contract lists as not served, before anything of it is read."""
    # Werkzeug's own path has one slash where the request has two.
    path = flask.request.environ["PATH_INFO"]
    code = code_of(contract.unserved, flask.request.method, path)
    return None if code is None else NOT_PROVISIONED_KINDS[code]


def _framework_kind(error: Exception) -> RefusalKind | None:
    if isinstance(error, HTTPException):
        return FRAMEWORK.get(error.code or INTERNAL.status)
    if isinstance(error, ProblemException):
        return FRAMEWORK.get(error.status)
    return None


def _refuse(refused: Refused) -> Response:
    kind = refused.kind
    log = _log.error if kind is INTERNAL else _log.warning if kind.retry_after else _log.info
    # The path tells Nodes apart. It is left out where a caller may invent any number of paths.
    path = {} if kind.status in _UNAUTHENTICATED else {"path": flask.request.path}
    log(
        "request_refused",
        operation=request_context.operation_id(),
        status=kind.status,
        code=kind.code,
        **path,
        cause=refused.inside,
        correlation_id=request_context.correlation_id(),
    )
    return respond_problem(refused)


def _allowed(contract: Contract) -> tuple[str, ...]:
    """The declared methods of the path. Werkzeug's list has another order at each start."""
    segments = flask.request.path.split("/")
    for path in contract.document["paths"]:
        declared = path.split("/")
        if len(declared) == len(segments) and all(
            name.startswith("{") or name == segment
            for name, segment in zip(declared, segments, strict=True)
        ):
            return contract.methods_of(path)
    return ()
