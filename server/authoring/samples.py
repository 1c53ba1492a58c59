"""Sample answers of each operation, made by the functions that make its real answers.

Their values are those of ``sample_values``: what no sample shows, no check of the file can hold.
``server/authoring/answers.py`` holds the file against them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import cycle
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from composer.audit import AuditRecord
from composer.credentials import SecretKey
from composer.deadline import Deadline
from composer.enrolment import IssuedToken, bootstrap_token_text
from composer.event_keys import EventKey
from composer.identity import NIL
from composer.node_token import NodeToken
from composer.peers import DomainPeers, Peers
from composer.registry import DomainPage, RegisteredNode, node_cursor
from composer.snapshot import NodeStateSnapshot
from handlers import service
from handlers.answers import Answer, Call
from handlers.audit import audit_page_value
from handlers.node_state import POSITION_HEADER, STALE_HEADER
from handlers.node_token import token_value
from handlers.operation import AnyOperation, Operation
from handlers.refusals import CATALOGUE, DOMAIN_NOT_EMPTY
from handlers.service import UNKNOWN, Asset, DocsPage, HealthCheck, ServicePorts
from handlers.wire import SnapshotBody, SnapshotWire
from handlers.wire_registry import (
    domain_page,
    domain_value,
    enrolment_body,
    issued_token_value,
    node_key_value,
    node_page,
    registration_body,
    secret_key_value,
)
from handlers.wire_values import accepted_entry_value, heartbeat_value, reachability_value
from server.authoring.sample_values import (
    BRIDGES,
    DOMAIN_PEERS,
    DOMAINS,
    FIRST_ID,
    ID,
    KEY,
    LARGEST_COUNT,
    LAST_ID,
    MOMENT,
    MOMENTS,
    NO_PEERS,
    NODES,
    POLICIES,
    POSITIONS,
    REACHABILITIES,
    REPORTS,
    WORDS,
)
from server.contract.document import Contract
from server.http.problems import problem_answer

Answers = Sequence[Answer]

# The Nodes of a large Domain, and the most items of a page.
MANY_PEERS, PAGE_ITEMS = 10_000, 200
_EVENT_KEY = EventKey("0123456789abcdef", KEY)
_SECRET_KEY = SecretKey(KEY)
_TOKENS = (NodeToken("e30.e30.A-_9", MOMENT), NodeToken(".".join(["a" * 683] * 3), MOMENTS[2]))


def sample_answers(
    contract: Contract, operations: Mapping[str, AnyOperation]
) -> dict[str, Answers]:
    """The samples of each operation whose answers have a body."""
    wire = SnapshotWire()
    snapshots = _snapshots(wire)
    entries = [Answer(200, accepted_entry_value(moment, "k" * 128)) for moment in MOMENTS]
    domains = [Answer(200, domain_value(domain)) for domain in DOMAINS]
    registrations = _registrations(wire)
    samples: dict[str, Answers] = {
        "GetNodeState": [
            *snapshots,
            Answer(200, snapshots[0].body, headers={**snapshots[0].headers, STALE_HEADER: "86400"}),
        ],
        "GetNodeSnapshot": snapshots,
        "PostNodeHeartbeat": [Answer(200, heartbeat_value(moment)) for moment in MOMENTS],
        "GetNodeReachability": [Answer(200, reachability_value(value)) for value in REACHABILITIES],
        "RenewNodeToken": [Answer(200, token_value(token)) for token in _TOKENS],
        "RotateNodeSecretKey": [Answer(200, secret_key_value(ID, _SECRET_KEY))],
        "RotateNodeKey": [Answer(200, node_key_value(ID, key)) for key in (KEY, bytes([255]) * 32)],
        "PutNodeStateReport": entries,
        "PutNodeMetadata": entries,
        "PutNodeData": entries,
        "CreateDomain": [
            Answer(status, answer.body, headers={"Location": f"/v1/domains/{LAST_ID}"})
            for status in (200, 201)
            for answer in domains
        ],
        "GetDomain": domains,
        "PatchDomain": domains,
        "ListDomains": _domain_pages(),
        **dict.fromkeys(("ListNodes", "ListDomainNodes"), _node_pages()),
        "RegisterNode": registrations,
        "IssueBootstrapToken": [_issued_token()],
        "PostRegister": _enrolments(wire),
        "ListDomainAudit": _audit_pages(operations),
        "DeleteDomain": [_problem_with_counts()],
    }
    samples |= {name: _open_answers(contract, handler) for name, handler in _OPEN.items()}
    return samples


def _snapshots(wire: SnapshotWire) -> list[Answer]:
    parts = cycle(
        (
            (DOMAIN_PEERS, NIL, POLICIES[0], BRIDGES[0], REPORTS[0]),
            (DOMAIN_PEERS, ID, POLICIES[1], BRIDGES[1], REPORTS[1]),
            (NO_PEERS, ID, POLICIES[2], BRIDGES[2], REPORTS[1]),
            (NO_PEERS, ID, POLICIES[2], BRIDGES[3], REPORTS[1]),
        )
    )
    values = [
        NodeStateSnapshot(Peers(peers, node_id), reachability, policy, bridge, reports, reports)
        for reachability, (peers, node_id, policy, bridge, reports) in zip(
            REACHABILITIES, parts, strict=False
        )
    ]
    bodies = [wire.encode(value) for value in values]
    answers = [
        Answer(200, body, headers={"ETag": f'W/"{body.digest}"', POSITION_HEADER: position.text})
        for body, position in zip(bodies, cycle(POSITIONS), strict=False)
    ]
    return [*answers, _with_many(answers[0], "peers", MANY_PEERS)]


def _with_many(answer: Answer, key: str, number: int) -> Answer:
    """The answer with as many items, which are all the first."""
    value = value_of(answer)
    return replace(answer, body={**value, key: value[key][:1] * number})


def value_of(answer: Answer) -> Any:
    """The body of an answer as a client reads it: a JSON value, or a text."""
    match answer.body:
        case SnapshotBody() as body:
            return json.loads(body.to_bytes())
        case bytes(text):
            return text.decode("utf-8")
        case body:
            return body


def _nodes(peers: DomainPeers) -> RegisteredNode:
    """The newest Node beside these peers: with IPv6 addresses where there are any."""
    if peers is NO_PEERS:
        return RegisteredNode(FIRST_ID, "10.42.0.1", "10.42.0.0/16", is_new=True)
    longest = DOMAIN_PEERS.peers[-1].mesh_ip
    return RegisteredNode(LAST_ID, longest, f"{longest[:-1]}c/126", is_new=True)


def _registrations(wire: SnapshotWire) -> list[Answer]:
    answers = [
        Answer(
            status, registration_body(_nodes(peers), wire.domain(peers), token, _SECRET_KEY, key)
        )
        for status in (200, 201)
        for peers, token, key in zip(
            (DOMAIN_PEERS, NO_PEERS), _TOKENS, (_EVENT_KEY, None), strict=True
        )
    ]
    return [*answers, _with_many(answers[0], "peers", MANY_PEERS)]


def _enrolments(wire: SnapshotWire) -> list[Answer]:
    answers = [
        Answer(201, enrolment_body(_nodes(peers), _EVENT_KEY, _SECRET_KEY, wire.domain(peers)))
        for peers in (DOMAIN_PEERS, NO_PEERS)
    ]
    return [*answers, _with_many(answers[0], "peer_snapshot", MANY_PEERS)]


def _issued_token() -> Answer:
    issued = IssuedToken(ID, MOMENTS[1], MOMENTS[2])
    return Answer(201, issued_token_value(issued, bootstrap_token_text(ID, KEY)))


def _domain_pages() -> list[Answer]:
    pages = (
        DomainPage(DOMAINS),
        DomainPage(DOMAINS[:1], node_cursor(NIL, LAST_ID)),
        DomainPage(()),
    )
    answers = [Answer(200, domain_page(page)) for page in pages]
    return [*answers, _with_many(answers[1], "items", PAGE_ITEMS)]


def _node_pages() -> list[Answer]:
    pages = ((NODES, None), (NODES[:1], node_cursor(LAST_ID, ID)), ((), None))
    answers = [Answer(200, node_page(nodes, cursor)) for nodes, cursor in pages]
    return [*answers, _with_many(answers[1], "items", PAGE_ITEMS)]


def _audit_pages(operations: Mapping[str, AnyOperation]) -> list[Answer]:
    """Rows of every operation and every outcome."""
    relations = {
        name: None
        for operation in operations.values()
        if isinstance(operation, Operation)
        for name in (operation.audit_name, operation.audit_name_of_repeat)
        if name
    }
    outcomes = dict.fromkeys(kind.code for kind in CATALOGUE if kind.code is not None)
    rows = [
        *(_row(relation=relation) for relation in ("role.grant", *relations)),
        *(_row(outcome=outcome) for outcome in ("granted", "granted_stale", *outcomes)),
        _row(seq=LARGEST_COUNT, subject=f"operator:{WORDS}", object=WORDS, digest="0f" * 32),
        _row(correlation_id=""),
    ]
    pages = (
        (rows[:0], 1),
        (rows, len(rows)),
        (rows[:1] * (PAGE_ITEMS + 1), PAGE_ITEMS),
        (rows[-2:], 1),
    )
    return [Answer(200, audit_page_value(*page)) for page in pages]


def _row(**changes: Any) -> AuditRecord:
    values: dict[str, Any] = {
        "seq": 1,
        "occurred_at": MOMENTS[1],
        "relation": "node_state.pull",
        "outcome": "granted",
        "subject": f"node:{ID}",
        "object": f"node:{ID}",
        "correlation_id": "c" * 128,
        "digest": None,
    }
    return AuditRecord(**values | changes)


def _problem_with_counts() -> Answer:
    counts = asdict(DOMAINS[1].child_counts)
    return problem_answer(DOMAIN_NOT_EMPTY, f"/v1/domains/{ID}", "0" * 32, child_counts=counts)


class _Parts:
    """The ports of the operations without gates; ``status`` is that of each dependency."""

    def __init__(self, *statuses: str) -> None:
        self._statuses = statuses

    def checks(self, deadline: Deadline) -> Sequence[HealthCheck]:
        return [HealthCheck(f"part_{word}", word, "d" * 128) for word in self._statuses]

    def exposition(self, deadline: Deadline) -> tuple[bytes, str]:
        return f"# HELP a {WORDS}\na 1.0\n".encode(), CONTENT_TYPE_PLAIN_0_0_4

    def jwks(self) -> Mapping[str, object]:
        return {"keys": [*map(_jwk, _PUBLIC_MEMBERS)][: len(self._statuses)]}


OpenHandler = Callable[[ServicePorts, Call], Answer]
_OPEN: Mapping[str, OpenHandler] = {
    "GetLivez": service.get_livez,
    "GetReadyz": service.get_readyz,
    "GetHealth": service.get_health,
    "GetVersion": service.get_version,
    "GetMetrics": service.get_metrics,
    "GetOpenapi": service.get_openapi,
    "GetOpenapiJson": service.get_openapi_json,
    "GetJwks": service.get_jwks,
    "GetDocs": service.get_docs,
    "GetDocsScript": service.get_docs_script,
    "GetDocsStyle": service.get_docs_style,
}
_PUBLIC_MEMBERS: tuple[Mapping[str, str], ...] = (
    {"kty": "OKP", "alg": "EdDSA", "crv": "Ed25519", "x": "A-_9" * 10 + "A-8"},
    {"kty": "EC", "alg": "ES256", "crv": "P-256", "x": "A-_9" * 10 + "A-8", "y": "A" * 43},
    {"kty": "RSA", "alg": "RS256", "n": "w" * 342, "e": "AQAB"},
    {"kty": "RSA", "alg": "RS256", "n": "-_" * 683, "e": "_____w"},
)


def _jwk(members: Mapping[str, str]) -> Mapping[str, str]:
    kid = members.get("x", " key <1> of ops~")
    labels = {"kty": members["kty"], "kid": kid, "use": "sig", "alg": members["alg"]}
    return labels | {name: text for name, text in members.items() if name not in labels}


def _open_answers(contract: Contract, handler: OpenHandler) -> list[Answer]:
    """The real answers of an operation without gates, in each state of its dependencies."""
    script, style = (
        Asset(b"/* a */", f"text/{name}; charset=utf-8", "A-_9" * 10 + "A-8")
        for name in ("javascript", "css")
    )
    answers: list[Answer] = []
    for statuses in ((), ("ok",), ("ok", "degraded"), ("ok", "degraded", "down", "ok")):
        parts = _Parts(*statuses)
        ports = ServicePorts(
            health=parts,
            metrics=parts,
            contract=contract.raw,
            contract_document=contract.document,
            docs_page=DocsPage(b"<!doctype html>", script, style),
            version="0.1.0" if statuses else "10.20.30rc1.dev400+g0123abc",
            contract_version=contract.version,
            commit="0123456789abcdef0123456789abcdef01234567" if statuses else UNKNOWN,
            date="2026-11-23T07:00:00Z" if statuses else UNKNOWN,
            keys=parts,
        )
        answers += [handler(ports, _call(is_current)) for is_current in (False, True)]
    return answers


def _call(is_current: bool) -> Call:
    """``is_current``: the caller has the current tag, and prefers the last media type."""
    return Call(
        None,
        "",
        Deadline(0.0, lambda: 0.0),
        matches=lambda tag: is_current,
        preferred=lambda media_types: media_types[-1 if is_current else 0],
    )
