"""Laws of every answer, Problems above all, that no schema states."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from server.contract.document import METHODS
from tests.fuzz.exchange import CONTRACT, PROBLEM, Exchange
from tests.fuzz.own_checks import Check
from tests.fuzz.world import World

WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
# Of the table in the description of `Problem`: the two answers that belong to no operation.
FOREIGN = {
    404: ("https://plexsphere.com/errors/not-found", "Not Found", "No such resource."),
    405: (
        "https://plexsphere.com/errors/method-not-allowed",
        "Method Not Allowed",
        "The method is not declared for this path.",
    ),
}


def status_is_declared(exchange: Exchange, world: World) -> str | None:
    """Also for HEAD, and for what no operation answers: 404 and 405 alone."""
    operation = exchange.operation
    if operation is None:
        ours = "x-correlation-id" in exchange.received
        unexpected = ours and exchange.status not in FOREIGN
        return f"{exchange.status} where there is no operation" if unexpected else None
    if exchange.status in operation.responses:
        return None
    return f"{exchange.status} is not declared for {operation.operation_id}"


def problem_status_is_the_http_status(exchange: Exchange, world: World) -> str | None:
    problem = exchange.problem
    if problem is None or problem.get("status") == exchange.status:
        return None
    return "the Problem's status is not the answer's"


def code_is_declared_for_the_status(exchange: Exchange, world: World) -> str | None:
    """`x-problem-codes`; an empty list is a refusal without a code."""
    problem, declared = exchange.problem, exchange.declared
    if problem is None or declared is None:
        return None
    codes = declared.problem_codes or (None,)
    return None if problem.get("code") in codes else f"code is none of {list(codes)}"


def texts_are_the_contracts(exchange: Exchange, world: World) -> str | None:
    """type, title and detail are, word for word, those of a declared example: nothing leaks."""
    problem = exchange.problem
    if problem is None:
        return None
    texts = tuple(problem.get(name) for name in ("type", "title", "detail"))
    allowed = _examples(exchange)
    return None if texts in allowed else "type, title or detail is not the contract's"


def _examples(exchange: Exchange) -> list[tuple[Any, ...]]:
    operation = exchange.operation
    if operation is None:
        return [FOREIGN[exchange.status]] if exchange.status in FOREIGN else []
    item: Mapping[str, Any] = CONTRACT.document["paths"][operation.path]
    method = next(name for name in METHODS if name.upper() == operation.method)
    response = _resolved(item[method]["responses"].get(str(exchange.status), {}))
    examples = response.get("content", {}).get(PROBLEM, {}).get("examples", {})
    values = [_resolved(example)["value"] for example in examples.values()]
    return [tuple(value[name] for name in ("type", "title", "detail")) for value in values]


def _resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        found: Any = CONTRACT.document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def instance_is_the_path(exchange: Exchange, world: World) -> str | None:
    """The path of the request, encoded again; compared decoded and up to where it may be cut."""
    problem = exchange.problem
    if problem is None:
        return None
    instance = str(problem.get("instance"))
    # a cut may fall into an escape, and undecodable bytes come back as replacement characters
    if len(instance) == 256 or "%EF%BF%BD" in instance:
        return None
    path = exchange.path.partition("?")[0]
    return None if unquote(instance) == unquote(path) else "instance is not the request's path"


def correlation_id_is_one(exchange: Exchange, world: World) -> str | None:
    """Header and body agree, and a well-formed one of the caller is echoed."""
    if exchange.operation is None and "x-correlation-id" not in exchange.received:
        return None  # the HTTP server's own refusal
    answered = exchange.received.get("x-correlation-id")
    sent_id = exchange.sent.get("x-correlation-id", "")
    if answered is None:
        return "no X-Correlation-Id"
    if exchange.problem is not None and exchange.problem.get("correlation_id") != answered:
        return "header and body name two exchanges"
    if WELL_FORMED.fullmatch(sent_id) and sent_id != answered:
        return "the caller's correlation id is not echoed"
    return None


def body_is_valid(exchange: Exchange, world: World) -> str | None:
    """By the service's own rules: an open object has the members that the file lists."""
    declared = exchange.declared
    media = None if declared is None else declared.media.get(exchange.media_type)
    if media is None or exchange.value is None:
        return None
    fault = media.validator.fault(exchange.value)
    return None if fault is None else f"{fault.pointer or '/'} breaks {fault.rule}"


def json_is_compact(exchange: Exchange, world: World) -> str | None:
    """The bytes of `json.dumps` without spaces; a duplicate key shows here as well."""
    value = exchange.value
    if value is None:
        return None
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return None if text.encode("utf-8", "surrogatepass") == exchange.body else "not compact JSON"


def bodyless_answers_have_no_body(exchange: Exchange, world: World) -> str | None:
    """HEAD and 304."""
    bodyless = exchange.method == "HEAD" or exchange.status == 304
    return "a body where there is none" if bodyless and exchange.body else None


def contract_is_the_file(exchange: Exchange, world: World) -> str | None:
    """The served contract must be the contract, byte for byte."""
    shown = (exchange.name, exchange.status, exchange.method) == ("GetOpenapi", 200, "GET")
    return "not the file" if shown and exchange.body != CONTRACT.raw else None


def answer_checks() -> dict[str, Check]:
    """By name."""
    return {
        check.__name__: check
        for check in (
            status_is_declared,
            problem_status_is_the_http_status,
            code_is_declared_for_the_status,
            texts_are_the_contracts,
            instance_is_the_path,
            correlation_id_is_one,
            body_is_valid,
            json_is_compact,
            bodyless_answers_have_no_body,
            contract_is_the_file,
        )
    }
