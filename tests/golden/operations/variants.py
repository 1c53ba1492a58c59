"""The requests to each operation: a good one, and a bad one for each answer of its own.

``VARIANTS`` has every operation of ``api/plexsphere-v1.yaml``; a test says what is missing. It is
one table, as long as the contract is.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from composer.bridge import BridgeRows
from composer.enrolment import NewBootstrapToken, bootstrap_token_text
from composer.identity import NIL
from composer.reachability import ReachabilityRow
from composer.registry import EVERY_DOMAIN, NewDomain, NewNode, NodeSummary, node_cursor
from handlers.service import HealthCheck
from server.authn.signing import parse_signing_keys
from tests.factories import (
    ALLOW_HTTPS,
    DENY_ALL_6,
    DOMAIN,
    EPOCH,
    bridge_rows,
    entry,
    ingress_rule,
    key_bytes,
    node_id,
    peer_row,
    rule_set,
)
from tests.golden.operations.callers import EDITOR, EVERY_CALLER
from tests.golden.operations.service import NODE_TOKEN
from tests.ports.in_process import ENTRY_KEY, FakeService
from tests.tokens import dumps, ed25519_key, es256_key, rs256_key

Arrange = Callable[[FakeService], None]
NODE = f"/v1/nodes/{node_id(1)}"
IN_DOMAIN = f"/v1/domains/{DOMAIN}"
OTHER_DOMAIN = UUID("0190b2c4-0000-7000-8000-00000000d0d1")
# In a header, stands for the ETag of the first Node's pull in a sound world.
HELD_TAG = "{etag}"
JSON = {"Content-Type": "application/json"}


def _nothing(service: FakeService) -> None:
    del service


@dataclass(frozen=True, slots=True)
class Variant:
    """One request; ``everywhere`` says that it is asked in every world, and not in some alone.

    ``arrange`` changes the world that it is asked in.
    """

    name: str
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    arrange: Arrange = _nothing
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """The well-formed request of an operation, and what else is made of it."""

    method: str
    path: str
    body: bytes | None = None

    def well_formed(self) -> Variant:
        return self.but("well-formed", everywhere=True)

    def but(self, name: str, **changes: Any) -> Variant:
        """The well-formed request, with some of it otherwise."""
        headers = {} if self.body is None else JSON
        values: dict[str, Any] = {"path": self.path, "body": self.body, "headers": headers}
        return Variant(name, **({"method": self.method} | values | changes))

    def at(self, name: str, path: str) -> Variant:
        return self.but(name, path=path)

    def bodies(self, **bodies: bytes) -> Iterator[Variant]:
        """By what the body is, underscores for spaces."""
        for name, body in bodies.items():
            yield self.but(f"body: {name.replace('_', ' ')}", body=body)

    def queries(self, *queries: str) -> Iterator[Variant]:
        for query in queries:
            yield self.but(f"?{query}", query=query)


def _usual(request: Request) -> Iterator[Variant]:
    """The variants of every gated operation."""
    yield request.well_formed()
    yield request.but("undeclared query", query="surprise=1")
    yield request.but("HTML alone accepted", headers={**_headers(request), "Accept": "text/html"})
    if request.method == "GET":
        yield request.but("HEAD", method="HEAD")
    if request.body is None:
        yield request.but("a body beyond 64 KiB", body=b" " * 65_537)
    else:
        wrong_type = {"Content-Type": "text/plain"}
        yield request.but("body: not said to be JSON", headers=wrong_type)
        yield request.but("body: in an unknown coding", headers={**JSON, "Content-Encoding": "br"})
        yield from request.bodies(
            empty=b"",
            cut_short=request.body[:-1],
            an_array=b"[]",
            a_key_twice=request.body[:-1] + b"," + request.body[1:],
            nothing_in_it=b"{}",
            an_undeclared_member=request.body[:-1] + b',"surprise":1}',
            beyond_every_limit=b'{"surprise":"' + b"x" * 65_537 + b'"}',
        )


def _headers(request: Request) -> Mapping[str, str]:
    return {} if request.body is None else JSON


def _of_node(request: Request) -> Iterator[Variant]:
    """The variants of an operation on a Node."""
    yield from _usual(request)
    mine = str(node_id(1))
    yield request.at("id: no UUID", request.path.replace(mine, "not-a-uuid"))
    yield request.at("id: upper case", request.path.replace(mine, mine.upper()))
    yield request.at("id: a newline behind it", request.path.replace(mine, f"{mine}\n"))
    yield request.at("id: nil", request.path.replace(mine, str(NIL)))
    yield request.at("id: of no Node", request.path.replace(mine, str(node_id(9))))
    yield request.but("the Node is gone, its relationships are not", arrange=_node_gone)


def _of_domain(request: Request) -> Iterator[Variant]:
    """The variants of an operation on a Domain."""
    yield from _usual(request)
    mine = str(DOMAIN)
    yield request.at("id: no UUID", request.path.replace(mine, "not-a-uuid"))
    yield request.at("id: upper case", request.path.replace(mine, mine.upper()))
    yield request.at("id: nil", request.path.replace(mine, str(NIL)))
    yield request.at("id: of no Domain", request.path.replace(mine, str(OTHER_DOMAIN)))
    yield request.but("the Domain is gone, its relationships are not", arrange=_domain_gone)


def _node_gone(service: FakeService) -> None:
    gone = node_id(1)
    service.nodes.nodes.pop(gone, None)
    service.heartbeats.known.discard(gone)
    service.entries.known.pop(gone, None)
    service.reachability.rows.pop(gone, None)
    service.node_registry.nodes.pop(gone, None)


def _domain_gone(service: FakeService) -> None:
    service.domains.domains.pop(DOMAIN, None)
    service.domain_reader.rows.pop(DOMAIN, None)
    service.node_registry.ranges.pop(DOMAIN, None)


def _json(**members: object) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()


def _key(number: int) -> str:
    return b64encode(key_bytes(number)).decode()


# The pull and its siblings


def _pull() -> Iterator[Variant]:
    request = Request("GET", f"{NODE}/state")
    yield from _of_node(request)
    for name, tag in (("held", HELD_TAG), ("not held", 'W/"0"'), ("any held", "*")):
        yield request.but(f"If-None-Match: {name}", headers={"If-None-Match": tag})
    headers = {"If-None-Match": HELD_TAG}
    yield request.but("HEAD of what is held", method="HEAD", headers=headers)
    yield request.but("the Node has everything", arrange=_everything)
    yield request.but("the Node is a bridge for nothing", arrange=_bridge_for_nothing)
    yield request.but("the Node has nothing", arrange=_empty_handed)


def _snapshot() -> Iterator[Variant]:
    request = Request("GET", f"{NODE}/snapshot")
    yield from _of_node(request)
    headers = {"If-None-Match": HELD_TAG}
    yield request.but("If-None-Match: held", headers=headers)
    yield request.but("HEAD of what is held", method="HEAD", headers=headers)


def _everything(service: FakeService) -> None:
    rows = (
        peer_row(1),
        peer_row(2, relay_host="relay.example.net", relay_port=51821),
        peer_row(3),
    )
    service.ledger.shown = replace(
        service.ledger.shown,
        table=replace(service.ledger.shown.table, rows=rows, revision=node_id(9)),
        rule_sets=(rule_set(1, ALLOW_HTTPS, DENY_ALL_6),),
        bridge_rows=bridge_rows(
            ingress_rules=(ingress_rule(), ingress_rule("blog", acme_account_ref=None))
        ),
        entry_rows=tuple(
            entry(kind, key, workload_tag=tag)
            for kind in ("metadata", "data", "report")
            for key, tag in (("a", None), ("b", "agent"))
        ),
    )


def _bridge_for_nothing(service: FakeService) -> None:
    _everything(service)
    service.ledger.shown = replace(service.ledger.shown, bridge_rows=BridgeRows())


def _empty_handed(service: FakeService) -> None:
    service.ledger.shown = replace(service.ledger.shown, rule_sets=(), entry_rows=())


def _reachability() -> Iterator[Variant]:
    request = Request("GET", f"{NODE}/reachability")
    yield from _of_node(request)
    for state in ("stale", "unreachable", ""):
        name = f"the Node is {state or 'of no state yet'}"
        yield request.but(name, arrange=_in_state(state))


def _in_state(state: str) -> Arrange:
    def arrange(service: FakeService) -> None:
        service.reachability.rows[node_id(1)] = ReachabilityRow(state, EPOCH, EPOCH)

    return arrange


HEARTBEAT: Mapping[str, object] = {
    "client_now": "2026-11-23T07:00:30Z",
    "binary_checksum": "A" * 43 + "=",
    "binary_version": "1.4.0",
    "nat_summary": {},
}


def _heartbeat() -> Iterator[Variant]:
    request = Request("POST", f"{NODE}/heartbeat", _json(**HEARTBEAT))
    yield from _of_node(request)
    yield from request.bodies(
        a_clock_that_is_ahead=_json(**HEARTBEAT | {"client_now": "2026-11-23T07:01:01Z"}),
        a_day_that_is_none=_json(**HEARTBEAT | {"client_now": "2026-02-30T07:00:00Z"}),
        past_all_calendars=_json(**HEARTBEAT | {"client_now": "9999-12-31T23:59:59-23:59"}),
        no_checksum=_json(**HEARTBEAT | {"binary_checksum": ""}),
        no_version=_json(**HEARTBEAT | {"binary_version": ""}),
    )
    yield request.but(
        "decided at the Node's token before", arrange=_decided(NODE_TOKEN), everywhere=True
    )
    yield request.but("decided at an older token", arrange=_decided("older"))


def _decided(token: str) -> Arrange:
    about = f"node:{node_id(1)}"

    def arrange(service: FakeService) -> None:
        service.relations.yes_at = {
            (caller.subject, "node-agent", about): token for caller in EVERY_CALLER
        }

    return arrange


def _rotation() -> Iterator[Variant]:
    request = Request("PUT", f"{NODE}/public-key", _json(public_key=_key(60)))
    yield from _of_node(request)
    yield from request.bodies(**_bad_keys())
    yield request.but("body: the key it has", body=_json(public_key=_key(1)))
    yield request.but("body: a peer's key", body=_json(public_key=_key(2)))


def _bad_keys() -> dict[str, bytes]:
    return {
        "no_text_as_key": _json(public_key=1),
        "a_short_key": _json(public_key=_key(60)[:40]),
        "a_key_of_zeros": _json(public_key="A" * 43 + "="),
        "another_spelling_of_a_key": _json(public_key="A" * 42 + "B="),
    }


# Entries


def _write(kind: str) -> Iterator[Variant]:
    request = Request("PUT", f"{NODE}/state/{kind}/{ENTRY_KEY}", _json(value="1", workload_tag="w"))
    yield from _entry(request)
    yield from request.bodies(
        no_value=_json(workload_tag="w"),
        a_value_that_is_no_text=_json(value=1),
        a_value_with_NUL=_json(value="a\0b"),
        a_value_of_4097_bytes=_json(value="x" * 4_097),
        an_empty_tag=_json(value="1", workload_tag=""),
    )
    new = f"{NODE}/state/{kind}/new"
    yield request.but("another key, no room left", path=new, arrange=_full)
    yield request.but("the same key, no room left", arrange=_full)


def _removal(kind: str) -> Iterator[Variant]:
    request = Request("DELETE", f"{NODE}/state/{kind}/{ENTRY_KEY}")
    yield from _entry(request)
    yield request.at("key: of no entry", f"{NODE}/state/{kind}/new")


def _entry(request: Request) -> Iterator[Variant]:
    yield from _of_node(request)
    yield request.at("key: too long", request.path.replace(ENTRY_KEY, "k" * 300))
    yield request.at("key: a space in it", request.path.replace(ENTRY_KEY, "a b"))


def _full(service: FakeService) -> None:
    service.entries.quota = 1


# Domains and what is in them


DOMAIN_WANTED: Mapping[str, object] = {
    "name": "Plant South",
    "slug": "plant-south",
    "mesh_cidr": "10.50.0.0/16",
}


def _creation() -> Iterator[Variant]:
    request = Request("POST", "/v1/domains", _json(**DOMAIN_WANTED))
    yield from _usual(request)
    policies: Mapping[str, Mapping[str, str]] = {
        "incomplete": {"heartbeat_interval": "30s"},
        "contradicting itself": _durations("30s", "20s", "5m"),
        "not of durations": _durations("soon", "later", "never"),
        "whole": _durations("30s", "90s", "5m"),
    }
    for name, policy in policies.items():
        body = _json(**DOMAIN_WANTED, reachability=policy)
        yield request.but(f"body: a policy {name}", body=body)
    yield from request.bodies(
        no_slug=_json(name="Plant South", mesh_cidr="10.50.0.0/16"),
        a_slug_that_is_none=_json(**DOMAIN_WANTED | {"slug": "Plant South"}),
        a_range_that_is_none=_json(**DOMAIN_WANTED | {"mesh_cidr": "10.50.0.1/16"}),
        a_range_that_is_too_wide=_json(**DOMAIN_WANTED | {"mesh_cidr": "0.0.0.0/0"}),
        a_slug_that_is_taken=_json(**DOMAIN_WANTED | {"slug": "plant-north"}),
        a_range_that_is_taken=_json(**DOMAIN_WANTED | {"mesh_cidr": "10.42.8.0/24"}),
    )
    yield from _idempotent(request, _created_before(_new_domain("Plant North")))
    yield request.but(
        "Idempotency-Key: of the same request",
        headers={**JSON, "Idempotency-Key": "once"},
        arrange=_created_before(_new_domain("Plant South")),
        everywhere=True,
    )


def _durations(interval: str, stale: str, unreachable: str) -> Mapping[str, str]:
    return {
        "heartbeat_interval": interval,
        "stale_after": stale,
        "unreachable_after": unreachable,
    }


def _new_domain(name: str) -> NewDomain:
    return NewDomain(name, "plant-south", "10.50.0.0/16")


def _created_before(wanted: NewDomain) -> Arrange:
    def arrange(service: FakeService) -> None:
        service.domain_registry.keys["once"] = wanted.request_hash, DOMAIN

    return arrange


def _idempotent(request: Request, meant_otherwise: Arrange) -> Iterator[Variant]:
    yield request.but("Idempotency-Key: new", headers={**JSON, "Idempotency-Key": "first"})
    yield request.but("Idempotency-Key: a space", headers={**JSON, "Idempotency-Key": "a b"})
    yield request.but(
        "Idempotency-Key: of another request",
        headers={**JSON, "Idempotency-Key": "once"},
        arrange=meant_otherwise,
    )


def _domain_read() -> Iterator[Variant]:
    request = Request("GET", IN_DOMAIN)
    yield from _of_domain(request)
    bare = {"slug": None, "description": None, "region": None, "mesh_cidr": None}
    yield request.but("the Domain has no text but its name", arrange=_domain_with(**bare))
    texts = {"description": "Presses.", "region": "eu"}
    yield request.but("the Domain has every text", arrange=_domain_with(**texts))


def _domain_with(**changes: str | None) -> Arrange:
    def arrange(service: FakeService) -> None:
        rows = service.domain_reader.rows
        rows[DOMAIN] = replace(rows[DOMAIN], **changes)

    return arrange


def _domain_deletion() -> Iterator[Variant]:
    request = Request("DELETE", IN_DOMAIN)
    yield from _of_domain(request)
    yield request.but("the Domain has Nodes", arrange=_occupied)


def _occupied(service: FakeService) -> None:
    service.domain_registry.occupied = {DOMAIN}


def _node_list() -> Iterator[Variant]:
    request = Request("GET", f"{IN_DOMAIN}/nodes")
    yield from _of_domain(request)
    yield from _pages(request)
    after_first = node_cursor(DOMAIN, node_id(1))
    yield request.but("cursor: the next page", query=f"limit=1&cursor={after_first}")
    yield request.but("cursor: of another Domain", query=f"cursor={_foreign_cursor()}")
    yield request.but("a Node without an address", arrange=_add_node_without_address)


def _add_node_without_address(service: FakeService) -> None:
    nodes = service.domain_nodes.given
    added = NodeSummary(node_id(4), DOMAIN, "press", None, EPOCH)
    nodes[DOMAIN] = [*nodes[DOMAIN], added]


def _every_node_list() -> Iterator[Variant]:
    request = Request("GET", "/v1/nodes")
    yield from _usual(request)
    yield from _pages(request)
    in_domain = f"domain_id={DOMAIN}"
    yield from request.queries(
        *(in_domain, f"domain_id={OTHER_DOMAIN}", f"domain_id={NIL}", "domain_id=nonsense"),
        f"{in_domain}&{in_domain}",
    )
    after_first = node_cursor(DOMAIN, node_id(1))
    yield request.but("cursor: the next page", query=f"{in_domain}&limit=1&cursor={after_first}")
    yield request.but("cursor: of a Domain's Nodes", query=f"cursor={after_first}")
    after_first = node_cursor(EVERY_DOMAIN, node_id(1))
    yield request.but("cursor: the next page of all", query=f"limit=1&cursor={after_first}")


def _domain_change() -> Iterator[Variant]:
    policy = _durations("30s", "2m", "10m")
    request = Request("PATCH", IN_DOMAIN, _json(name="Plant West", reachability=policy))
    yield from _of_domain(request)
    yield from request.bodies(
        the_defaults=_json(reachability={}),
        texts=_json(description="Presses.", region="eu"),
        the_same=_json(name="Plant North"),
        another_slug=_json(slug="plant-west"),
        another_range=_json(mesh_cidr="10.44.0.0/16"),
        no_name=_json(name=""),
        a_number=_json(region=7),
        a_part_of_a_policy=_json(reachability={"stale_after": "90s"}),
    )


def _domain_list() -> Iterator[Variant]:
    request = Request("GET", "/v1/domains")
    yield from _usual(request)
    yield from _pages(request)
    yield request.but("another page follows", query="limit=1", arrange=_second_domain)
    after_first = node_cursor(NIL, DOMAIN)
    yield request.but(
        "cursor: the next page", query=f"cursor={after_first}", arrange=_second_domain
    )
    yield request.but("cursor: of a Domain's Nodes", query=f"cursor={_foreign_cursor()}")


def _second_domain(service: FakeService) -> None:
    row = replace(service.domain_reader.rows[DOMAIN], id=OTHER_DOMAIN, slug="plant-south")
    service.domain_reader.rows[OTHER_DOMAIN] = row


def _foreign_cursor() -> str:
    return node_cursor(OTHER_DOMAIN, node_id(1))


def _pages(request: Request) -> Iterator[Variant]:
    yield from request.queries("limit=1", "limit=0", "limit=201", "limit=ten", "limit=1&limit=1")
    yield from request.queries("cursor=", "cursor=%C3%A9", "cursor=AAAA")


def _registration() -> Iterator[Variant]:
    request = Request("POST", f"{IN_DOMAIN}/nodes", _json(public_key=_key(50), name="gw-7"))
    yield from _of_domain(request)
    yield from request.bodies(**_bad_keys(), an_empty_name=_json(public_key=_key(50), name=""))
    yield from _idempotent(request, _registered_before(NewNode(key_bytes(51), "gw-7")))
    yield request.but(
        "Idempotency-Key: of the same request",
        headers={**JSON, "Idempotency-Key": "once"},
        arrange=_registered_before(NewNode(key_bytes(50), "gw-7")),
    )
    again = _json(public_key=_key(2))
    yield request.but("body: the key of a Node", body=again, everywhere=True)
    yield request.but("no address is free", arrange=_no_address)
    yield request.but("no more Nodes", arrange=_no_more_nodes)


def _registered_before(wanted: NewNode) -> Arrange:
    def arrange(service: FakeService) -> None:
        request_hash = wanted.request_hash(EDITOR.subject)
        service.node_registry.keys[DOMAIN, "once"] = request_hash, node_id(2)

    return arrange


def _no_address(service: FakeService) -> None:
    service.node_registry.ranges[DOMAIN] = "10.42.0.0/30"


def _no_more_nodes(service: FakeService) -> None:
    service.node_registry.node_quota = 1


PROJECT = UUID("0190c000-0000-7000-8000-00000000aaaa")
TOKEN_ID = UUID("0190f000-0000-4000-8000-0000000000ff")
SECRET = bytes(range(32))
# The issuer counts, and not the caller: a world grants what the caller has.
TOKEN_WANTED = NewBootstrapToken(
    digest=sha256(SECRET).digest(),
    project_id=PROJECT,
    resource_handle=None,
    lifetime=timedelta(minutes=5),
    issuer=EDITOR.subject,
)
TOKEN = bootstrap_token_text(TOKEN_ID, SECRET)
ENROLMENT: Mapping[str, object] = {
    "project_id": str(PROJECT),
    "resource_handle": "press-7",
    "bootstrap_token": TOKEN,
    "nonce": "n-1",
    "public_key": _key(50),
}


def _token_issue() -> Iterator[Variant]:
    wanted: Mapping[str, object] = {"project_id": str(PROJECT), "ttl_seconds": 3600}
    request = Request("POST", f"{IN_DOMAIN}/bootstrap-tokens", _json(**wanted))
    yield from _of_domain(request)
    yield from request.bodies(
        a_time_too_short=_json(**wanted | {"ttl_seconds": 299}),
        a_time_too_long=_json(**wanted | {"ttl_seconds": 86_401}),
        a_project_that_is_none=_json(**wanted | {"project_id": "plexsphere"}),
        a_handle=_json(**wanted, resource_handle="press-7"),
        an_empty_handle=_json(**wanted, resource_handle=""),
    )


def _enrolment() -> Iterator[Variant]:
    request = Request("POST", "/v1/register", _json(**ENROLMENT))
    token_there = _token_with()
    for variant in _usual(request):
        yield replace(variant, arrange=token_there)
    bodies = {
        **_bad_keys(),
        "no_nonce": _json(**{**ENROLMENT, "nonce": ""}),
        "no_handle": _json(**{**ENROLMENT, "resource_handle": ""}),
        "a_handle_that_no_Node_can_have": _json(**{**ENROLMENT, "resource_handle": "x" * 4_097}),
        "a_long_handle": _json(**{**ENROLMENT, "resource_handle": "\u00e9" * 4_096}),
        "no_project": _json(**{**ENROLMENT, "project_id": "plexsphere"}),
        "another_project": _json(**ENROLMENT | {"project_id": str(OTHER_DOMAIN)}),
        "a_resource": _json(**ENROLMENT, requested_resource_id="r-1"),
        "no_token_at_all": _json(**ENROLMENT | {"bootstrap_token": "nonsense"}),
        "a_token_with_a_short_secret": _json(**ENROLMENT | {"bootstrap_token": TOKEN[:-1]}),
        "another_spelling_of_the_token": _json(**ENROLMENT | {"bootstrap_token": f"{TOKEN[:-1]}b"}),
        "the_token_of_a_bridge": _json(
            **ENROLMENT | {"bootstrap_token": TOKEN.replace("_node_", "_bridge_")}
        ),
        "another_secret": _json(
            **ENROLMENT | {"bootstrap_token": bootstrap_token_text(TOKEN_ID, bytes(32))}
        ),
        "an_unknown_token": _json(
            **ENROLMENT | {"bootstrap_token": bootstrap_token_text(OTHER_DOMAIN, SECRET)}
        ),
        "the_key_of_a_Node": _json(**ENROLMENT | {"public_key": _key(2)}),
    }
    for variant in request.bodies(**bodies):
        yield replace(variant, arrange=token_there)
    yield request.but(
        "the token is for this handle", arrange=_token_with(resource_handle="press-7")
    )
    yield request.but("the token is for another handle", arrange=_token_with(resource_handle="b"))
    yield request.but("the token is consumed", arrange=_consumed)
    yield request.but("the token is too old", arrange=_token_with(lifetime=timedelta(0)))
    yield request.but("the nonce was used", arrange=_nonce_used)
    yield request.but("no address is free", arrange=_no_address_for_a_token)
    yield request.but("no more Nodes", arrange=_no_more_nodes_for_a_token)


def _token_with(**changes: Any) -> Arrange:
    def arrange(service: FakeService) -> None:
        wanted = replace(TOKEN_WANTED, **changes)
        service.bootstrap_tokens.put(TOKEN_ID, DOMAIN, wanted)

    return arrange


def _consumed(service: FakeService) -> None:
    _token_with()(service)
    service.bootstrap_tokens.consumed = {TOKEN_ID}


def _nonce_used(service: FakeService) -> None:
    _consumed(service)
    service.bootstrap_tokens.nonces = {(DOMAIN, "n-1")}


def _no_address_for_a_token(service: FakeService) -> None:
    _token_with()(service)
    _no_address(service)


def _no_more_nodes_for_a_token(service: FakeService) -> None:
    _token_with()(service)
    _no_more_nodes(service)


def _audit() -> Iterator[Variant]:
    request = Request("GET", f"{IN_DOMAIN}/audit")
    yield from _of_domain(request)
    yield from _pages(request)
    yield from request.queries(
        "cursor=AAAAAAAAAAE",
        "cursor=AAAAAAAAAAF",
        "relation=domain.read",
        "outcome=granted&subject=user:ada",
        f"object=node:{node_id(1)}",
        "correlation_id=c-2",
        "relation=",
        "relation=a&relation=b",
        "from=2026-11-23T07:00:00Z&to=2026-11-24T07:00:00Z",
        "from=2026-11-23T07:00:00.5Z",
        "from=2026-02-30T07:00:00Z",
        "to=0001-01-01T00:00:00%2B23:59",
        "to=yesterday",
    )


def _ungated(path: str) -> Iterator[Variant]:
    request = Request("GET", path)
    yield from _usual(request)


def _health(path: str) -> Iterator[Variant]:
    yield from _ungated(path)
    for status in ("ok", "degraded", "down"):
        yield Request("GET", path).but(f"Postgres is {status}", arrange=_checked(status))


def _checked(status: str) -> Arrange:
    def arrange(service: FakeService) -> None:
        service.health.given = [HealthCheck("postgres", status, "text")]

    return arrange


def _published_keys() -> Iterator[Variant]:
    path = "/.well-known/jwks.json"
    yield from _ungated(path)
    yield Request("GET", path).but("a key of every kind", arrange=_keys_of_every_kind)


def _keys_of_every_kind(service: FakeService) -> None:
    keys = [make().private_jwk for make in (ed25519_key, es256_key, rs256_key)]
    members = parse_signing_keys(dumps({"keys": keys})).members
    service.published.given = [dict(key.public_jwk) for key in members]


def _events() -> Iterator[Variant]:
    request = Request("GET", f"{NODE}/events")
    yield from _of_node(request)
    for text in ("", "7", "-1", "seven", "1" * 1001):
        yield request.but(f"Last-Event-ID: {text[:20]}", headers={"Last-Event-ID": text})


# By operationId; every variant of an operation has a name of its own.
VARIANTS: Mapping[str, tuple[Variant, ...]] = {
    "GetNodeState": tuple(_pull()),
    "GetNodeEvents": tuple(_events()),
    "PostNodeHeartbeat": tuple(_heartbeat()),
    "GetNodeSnapshot": tuple(_snapshot()),
    "GetNodeReachability": tuple(_reachability()),
    "RenewNodeToken": tuple(_of_node(Request("POST", f"{NODE}/token"))),
    "RotateNodeSecretKey": tuple(_of_node(Request("POST", f"{NODE}/secret-key"))),
    "RevokeNodeCredentials": tuple(_of_node(Request("DELETE", f"{NODE}/credentials"))),
    "DeleteNode": tuple(_of_node(Request("DELETE", NODE))),
    "RotateNodeKey": tuple(_rotation()),
    "PutNodeStateReport": tuple(_write("reports")),
    "DeleteNodeStateReport": tuple(_removal("reports")),
    "PutNodeMetadata": tuple(_write("metadata")),
    "DeleteNodeMetadata": tuple(_removal("metadata")),
    "PutNodeData": tuple(_write("data")),
    "DeleteNodeData": tuple(_removal("data")),
    "CreateDomain": tuple(_creation()),
    "ListDomains": tuple(_domain_list()),
    "GetDomain": tuple(_domain_read()),
    "PatchDomain": tuple(_domain_change()),
    "DeleteDomain": tuple(_domain_deletion()),
    "ListDomainNodes": tuple(_node_list()),
    "ListNodes": tuple(_every_node_list()),
    "RegisterNode": tuple(_registration()),
    "IssueBootstrapToken": tuple(_token_issue()),
    "PostRegister": tuple(_enrolment()),
    "ListDomainAudit": tuple(_audit()),
    "GetLivez": tuple(_ungated("/livez")),
    "GetReadyz": tuple(_health("/readyz")),
    "GetHealth": tuple(_health("/v1/health")),
    "GetVersion": tuple(_ungated("/v1/version")),
    "GetMetrics": tuple(_ungated("/metrics")),
    "GetOpenapi": tuple(_ungated("/v1/openapi.yaml")),
    "GetOpenapiJson": tuple(_ungated("/v1/openapi.json")),
    "GetJwks": tuple(_published_keys()),
    "GetDocs": tuple(_ungated("/docs")),
    "GetDocsScript": tuple(_ungated("/docs/page.js")),
    "GetDocsStyle": tuple(_ungated("/docs/page.css")),
}
