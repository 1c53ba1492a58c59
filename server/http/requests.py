"""Validates requests against the contract, after authentication and before gates 1a to 4.

Connexion's own validators do not check ``format: uuid``, put the invalid value into the answer,
read the body before security, and silently cut a chunked body at ``MAX_CONTENT_LENGTH``. These
validators replace them in ``validator_map``. Parameters are checked before the body is read.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterator, Mapping
from keyword import iskeyword
from typing import Any

from flask import Response

from handlers.answers import JSON
from handlers.operation import AnyOperation, Operation
from handlers.refusals import (
    NOT_ACCEPTABLE,
    PAYLOAD_TOO_LARGE,
    UNKNOWN_QUERY_PARAMETER,
    UNSUPPORTED_MEDIA_TYPE,
    BodyRefusals,
    RefusalKind,
    Refused,
)
from server.authn.strict import json_object
from server.contract.document import BodyContract, Contract, OperationContract
from server.contract.parameters import ParameterContract, value_of
from server.http import request_context
from server.http.problems import BAD_REQUEST
from server.http.request_refusals import PARAMETER_REFUSALS

IGNORED_BODY_MAX = 65_536  # a longer body is refused where none is declared (bytes)
# Bytes that gzip adds to content that does not shrink, with its header and a file name.
GZIP_OVERHEAD = 1_024
MAX_DEPTH = 64  # deeper than any declared schema, and safe for Python's stack
_GZIP = 16 + zlib.MAX_WBITS
# Only a schema without rules accepts both texts.
ANY_TEXT = ("", "\N{SNOWMAN}" * 8_190)

Operations = Mapping[str, AnyOperation]


def parameter_validator(contract: Contract, operations: Operations) -> type:
    """The class that Connexion instantiates for each operation with parameters."""

    class ContractParameters:
        def __init__(self, parameters: object, api: object, strict_validation: bool) -> None:
            del parameters, api, strict_validation  # ``contract`` has all of it

        def __call__(self, function: Callable[..., Response]) -> Callable[..., Response]:
            @functools.wraps(function)
            def checked(request: Any) -> Response:
                name = request_context.operation_id() or ""
                declared = contract.operations[name]
                if declared.body is None:  # else ContractBody, which runs first, has checked them
                    _check_parameters(declared, operations[name], request.path_params)
                return function(request)

            return checked

    return ContractParameters


def body_validator(contract: Contract, operations: Operations) -> type:
    """The class that Connexion instantiates for each operation that declares a body."""

    class ContractBody:
        def __init__(self, *args: object, **options: object) -> None:
            del args, options  # ``contract`` has all of it

        def __call__(self, function: Callable[..., Response]) -> Callable[..., Response]:
            @functools.wraps(function)
            def checked(request: Any) -> Response:
                name = request_context.operation_id() or ""
                check_request(contract.operations[name], operations[name], request.path_params)
                return function(request)

            return checked

    return ContractBody


def check_request(
    declared: OperationContract, operation: AnyOperation, path: Mapping[str, Any]
) -> None:
    """Check parameters, and of an operation with a body everything else, which it keeps.

    An operation without a body has its other checks in its view.
    """
    _check_parameters(declared, operation, path)
    if declared.body is not None:
        assert isinstance(operation, Operation) and operation.body_refusals is not None
        check_query(declared)
        check_accept(declared)
        request_context.set_body(checked_body(declared.body, operation.body_refusals))


def checked_body(body: BodyContract, refusals: BodyRefusals) -> dict[str, Any]:
    """The valid body of the current request. Its content must not reach a log."""
    value, media_type = read_object(body, refusals)
    for name, limit in refusals.max_bytes.items():
        text = value.get(name)
        if isinstance(text, str) and len(text.encode("utf-8")) > limit:
            raise Refused(PAYLOAD_TOO_LARGE, f"body/{name} is longer than {limit} bytes")
    faults = body.media[media_type].faults(value)
    if not faults:
        return value
    empty = [name for name in refusals.empty if value.get(name) == ""]
    kinds = {
        refusals.kind_of(fault.member): fault
        for fault in reversed(faults)
        if fault.pointer not in {f"/{name}" for name in empty}
    }
    if kinds:
        kind = min(kinds, key=refusals.kinds.index)
        raise Refused(kind, f"body{kinds[kind].pointer} breaks {kinds[kind].rule}")
    raise Refused(refusals.empty[empty[0]], f"body/{empty[0]} is empty")


def _check_parameters(
    declared: OperationContract, operation: AnyOperation, path: Mapping[str, Any]
) -> None:
    for parameter in declared.parameters:
        check_parameter(operation, parameter, path)


def parameter_refusals(
    operation: AnyOperation, parameter: ParameterContract
) -> Iterator[RefusalKind]:
    """The possible refusals of a parameter; none where it accepts any text."""
    if parameter.kind == "query" and not parameter.repeatable:  # a caller may repeat it
        yield PARAMETER_REFUSALS.get(parameter.name, BAD_REQUEST)
    if parameter.required or not all(map(parameter.validator.is_valid, ANY_TEXT)):
        yield _refusal_of(operation, parameter)


def _refusal_of(operation: AnyOperation, parameter: ParameterContract) -> RefusalKind:
    usual = PARAMETER_REFUSALS.get(parameter.name, BAD_REQUEST)
    own = operation.parameter_refusals if isinstance(operation, Operation) else {}
    return own.get(parameter.name, usual)


def check_parameter(
    operation: AnyOperation, parameter: ParameterContract, path: Mapping[str, Any]
) -> None:
    """Refuse a missing or invalid parameter. The value must not reach a log or the answer."""
    texts = _texts(parameter, path)
    if not texts:
        if not parameter.required:
            return
        rule = "required"
    else:
        fault = parameter.validator.fault(value_of(parameter, texts))
        if fault is None:
            return
        rule = fault.rule
    raise Refused(_refusal_of(operation, parameter), f"parameter {parameter.name} breaks {rule}")


def _texts(parameter: ParameterContract, path: Mapping[str, Any]) -> list[str]:
    if parameter.kind == "path":
        return [str(path[parameter.name])]
    if parameter.kind == "query":
        texts = request_context.request().args.getlist(parameter.name)
        if len(texts) > 1 and not parameter.repeatable:
            # The checked value might not be the value that the handler gets.
            kind = PARAMETER_REFUSALS.get(parameter.name, BAD_REQUEST)
            raise Refused(kind, f"parameter {parameter.name} is repeated")
        return texts
    if parameter.kind == "header":
        text = request_context.header(parameter.name)
    else:
        text = request_context.request().cookies.get(parameter.name)
    return [] if text is None else [text]


def python_name(name: str) -> str:
    """The Python name of a declared parameter: ``from`` is a keyword, so it becomes ``from_``."""
    return f"{name}_" if iskeyword(name) else name


def check_query(operation: OperationContract) -> None:
    """Refuse an undeclared query parameter where the contract asks for it.

    Connexion's own check skips operations without parameters. The name must not reach a log.
    """
    if not operation.strict_query or not request_context.environ().get("QUERY_STRING"):
        return
    declared = {parameter.name for parameter in operation.parameters if parameter.kind == "query"}
    undeclared = request_context.request().args.keys() - declared
    if undeclared:
        raise Refused(UNKNOWN_QUERY_PARAMETER, f"{len(undeclared)} undeclared query parameters")


def check_body_size() -> None:
    """Refuse a large body of an operation that declares no body; a small one is ignored."""
    if not request_context.environ().get("CONTENT_LENGTH"):
        return
    length = request_context.request().content_length
    if length is not None and length > IGNORED_BODY_MAX:
        raise Refused(PAYLOAD_TOO_LARGE, f"content length {length}")


def check_accept(operation: OperationContract) -> None:
    """Refuse a request whose ``Accept`` excludes every declared media type."""
    if request_context.header("Accept") is None or not negotiates(operation):
        return
    accepted = list(request_context.request().accept_mimetypes)
    if accepted and not any(_quality(accepted, media) > 0 for media in operation.produces):
        raise Refused(NOT_ACCEPTABLE, "Accept rules out every declared media type")


def negotiates(operation: OperationContract) -> bool:
    """Whether ``Accept`` is checked: always for JSON, else where a 406 is declared."""
    return JSON in operation.produces or NOT_ACCEPTABLE.status in operation.responses


def _quality(accepted: list[tuple[str, float]], media: str) -> float:
    """The quality of the most specific range; parameters (``charset=utf-8``) are ignored."""
    for media_range in (media, f"{media.partition('/')[0]}/*", "*/*"):
        for accepted_range, quality in accepted:
            if accepted_range.partition(";")[0].rstrip().lower() == media_range:
                return quality
    return 0


def read_object(body: BodyContract, refusals: BodyRefusals) -> tuple[dict[str, Any], str]:
    """The JSON object of the current request, and its media type."""
    request = request_context.request()
    if request.mimetype not in body.media:
        raise Refused(UNSUPPORTED_MEDIA_TYPE, "Content-Type is not declared")
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip"):
        raise Refused(UNSUPPORTED_MEDIA_TYPE, "Content-Encoding is neither gzip nor identity")
    try:
        too_large = refusals.too_large
        if coding == "identity":
            raw = _received(body.max_bytes, too_large)
        else:
            received = _received(body.max_bytes + GZIP_OVERHEAD, too_large)
            raw = inflated(received, body.max_bytes, too_large)
        return json_object(raw, MAX_DEPTH), request.mimetype
    except ValueError as error:
        raise Refused(refusals.malformed, f"body: {error}") from error


def _received(limit: int, too_large: RefusalKind) -> bytes:
    length = request_context.request().content_length
    if length is not None and length > limit:
        raise Refused(too_large, f"content length {length}")
    try:
        raw = request_context.request().stream.read(
            limit + 1
        )  # a chunked body has no declared length
    except Exception as error:  # each server has its own type for a broken chunk or connection
        raise ValueError(f"cannot be read: {type(error).__name__}") from error
    if len(raw) > limit:
        raise Refused(too_large, f"more than {limit} bytes received")
    return raw


def inflated(raw: bytes, limit: int, too_large: RefusalKind) -> bytes:
    """The content of all gzip members of ``raw``.

    Inflation stops one byte past ``limit``, so a decompression bomb costs no memory. Raises
    ValueError where ``raw`` is not gzip or is incomplete.
    """
    parts: list[bytes] = []
    left = limit
    while True:
        member = zlib.decompressobj(_GZIP)
        try:
            part = member.decompress(raw, left + 1)
        except zlib.error:
            raise ValueError("not gzip") from None
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise Refused(too_large, f"more than {limit} bytes inflated")
        if not member.eof:
            raise ValueError("gzip cut short")
        raw = member.unused_data
        if not raw:
            return b"".join(parts)
