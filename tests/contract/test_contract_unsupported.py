"""A part of OpenAPI that the service does not support is reported at its line and column.

All edits are made in one file, because all of them are told at once.
"""

from __future__ import annotations

import pytest

from handlers import OPERATIONS
from server.authoring.contract_check import contract_complaints
from server.contract.document import Contract

TEXT = Contract.packaged().raw.decode()
SCHEMES = "  securitySchemes:\n"
API_KEY = "    key: { type: apiKey, in: header, name: X-Key }\n"
BASIC = "    basic: { type: http, scheme: basic }\n"
LOWER, JSON = "in lower case and without parameters", "            application/json:\n"
NOWHERE = "no operation of this file"
BEARER = "the service supports only the bearer scheme"
AT_ROOT, ELSEWHERE = "the service serves at the root", "servers: [{ url: 'https://a.example/api' }]"

AT_THE_ROOT = ("/", "", "https://a.example", "{scheme}://a.example:{port}/", "//a.example/")
GET_DOMAIN = "#/paths/~1v1~1domains~1{domain_id}/get"
# name: after this text, the next of this is replaced; what is told, and the text it is told at
EDITS = {
    "base path": ("servers:", "url: /\n", "url: /api\n", AT_ROOT, "/api"),
    "of a path": ("/events:", "    get:\n", f"    {ELSEWHERE}\n    get:\n", AT_ROOT, "'https:"),
    "of a method": ("/livez:", "get:\n", f"get:\n      {ELSEWHERE}\n", AT_ROOT, "'https:"),
    "apiKey": (
        "components:",
        SCHEMES,
        SCHEMES + API_KEY,
        f"key: {BEARER}",
        "key: {",
    ),
    "basic": (
        "  sec",
        "    nodeAgent",
        BASIC + "    nodeAgent",
        f"basic: {BEARER}",
        "basic: {",
    ),
    "anyone": (
        "/v1/domains:",
        "post:\n",
        "post:\n      security: [{}]\n",
        "must name one scheme",
        "{}",
    ),
    "charset": (
        "/v1/version:",
        JSON,
        JSON.replace("json:", "json; charset=utf-8:"),
        LOWER,
        "application/json; charset=utf-8",
    ),
    "range": ("/v1/openapi.yaml:", "application/yaml:", "a/*:", LOWER, "a/*"),
    "of a body": ("/heartbeat:", "application/json", "application/JSON", LOWER, "application/JSON"),
    "shared": ("    Healthy:", "application/json", "a/b;c=d", LOWER, "a/b;c=d"),
    "link": ("Revalidate:", "GetNodeState", "GetNodeStates", f"GetNodeStates, {NOWHERE}", "GetN"),
    "reference": (
        "    DomainCreated:",
        "operationId: GetDomain\n",
        "operationRef: '#/paths/~1v1~1domains/patch'\n",
        NOWHERE,
        "'#/paths",
    ),
    "name": (
        "  headers:",
        "    Vary:\n",
        "    NodeUuid: { schema: { type: string } }\n    Vary:\n",
        "NodeUuid is also the name of a component in schemas",
        "NodeUuid: {",
    ),
    "scopes": (
        "operationId: PostNodeHeartbeat",
        "nodeAgentJWT: []",
        "nodeAgentJWT: [read]",
        "nodeAgentJWT has no scopes",
        "[read]",
    ),
    "misspelled": (
        "operationId: CreateDomain",
        "x-strict-query",
        "x-strict-querry",
        "it may be x-strict-query",
        "x-strict-querry",
    ),
    "parameter of a link": (
        "        Renew:",
        "{ id: ",
        "{ node: ",
        "RenewNodeToken has no parameter node",
        "node: ",
    ),
    "header of a link": ("Revalidate:", "er.ETag", "er.Tag", "no header Tag", "$response.header"),
    "path of a link": ("Revalidate:", "path.id", "path.no", "parameter no in its", "$request"),
    "member of a link": ("        Read:\n", "#/id", "#/no", "has no /no", "$response.body#/no"),
    "expression": ("        ReadReachability:", "$resp", "$rsp", "no runtime expr", "$rsp"),
    "to nowhere": (
        "    NodeRegistered:",
        "operationId: GetNodeState\n",
        "x-later: GetNodeState\n",
        "the link names no operation",
        "Pull:",
    ),
}


@pytest.fixture(scope="module", name="text")
def edited() -> str:
    text = TEXT
    for after, old, new, *_ in EDITS.values():
        at = text.index(old, text.index(after))
        text = text[:at] + new + text[at + len(old) :]
    return text


@pytest.fixture(scope="module")
def complaints(text: str) -> list[str]:
    return contract_complaints(text.encode(), OPERATIONS)


@pytest.mark.parametrize("name", EDITS)
def test_what_the_service_would_not_do_is_told_where_it_is_said(
    complaints: list[str], text: str, name: str
) -> None:
    after, _, new, complaint, at = EDITS[name]
    edited_at = text[: text.index(new, text.index(after))].count("\n")
    shown = [
        text.splitlines()[int(line) - 1][int(column) - 1 :]
        for file, line, column, sentence in (text.split(":", 3) for text in complaints)
        if file == "api/plexsphere-v1.yaml" and complaint in sentence
        if edited_at <= int(line) <= edited_at + 3
    ]
    assert [line for line in shown if line.startswith(at)], complaints


def test_each_is_told_once(complaints: list[str]) -> None:
    assert len(complaints) == len(EDITS)


def test_a_reference_to_no_component_of_a_kind_is_told_and_nothing_else() -> None:
    for target in ("#/components", "#/components/schemas/Problem"):
        text = TEXT.replace("#/components/examples/DomainWanted", target, 1)
        (complaint,) = contract_complaints(text.encode(), OPERATIONS)
        assert f"$ref {target} leads to no component in examples" in complaint


def test_a_scheme_that_was_renamed_is_told_once() -> None:
    text = TEXT.replace("    nodeSecretKey:\n", "    nodeKey:\n", 1)
    (complaint,) = contract_complaints(text.encode(), OPERATIONS)
    more = text.count("- nodeSecretKey: []") - 1
    assert f"nodeSecretKey is not in components/securitySchemes; {more} more use it" in complaint


def test_what_the_service_does_is_not_told() -> None:
    text = TEXT
    for old, new in [
        ("  - url: /\n", "".join(f"  - url: '{url}'\n" for url in AT_THE_ROOT)),
        ("operationId: GetDomain\n          desc", f"operationRef: '{GET_DOMAIN}'\n          desc"),
        ("    Healthy:\n", "    Healthy:\n      x-more: { content: { 'A;b': 1 } }\n"),
        ("\n# Requests of today's", "\n  x-more: {}\n\n# Requests of today's"),
    ]:
        assert old in text
        text = text.replace(old, new, 1)
    assert contract_complaints(text.encode(), OPERATIONS) == []
