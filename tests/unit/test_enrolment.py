"""Bootstrap tokens and enrolment: the text of a token, who counts, and what stays of a refusal."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import UUID

import pytest

from composer.credentials import SecretKey
from composer.enrolment import bootstrap_token_text, parse_bootstrap_token
from composer.errors import AuthzUnavailable, DatastoreUnavailable, RateLimited
from composer.identity import PLATFORM, PrincipalKind
from composer.limits import Limit
from tests.bodies import JSON, body_now
from tests.factories import CORRELATION, DOMAIN, agent_of
from tests.ports.in_process import FakeService

TOKENS = f"/v1/domains/{DOMAIN}/bootstrap-tokens"
TOKEN_ID = UUID("0190f000-0000-4000-8000-0000000000ff")
SECRET = bytes(range(32))
FIRST = agent_of(1).subject


def issue(service: FakeService, **members: Any):
    body = body_now("IssueBootstrapToken", **members)
    return service.ask(TOKENS, 1, method="POST", data=body, headers=JSON)


def enrol(service: FakeService, token: str | None = None, **members: Any):
    """With the token of the contract's example, unless another is given."""
    if token is not None:
        members["bootstrap_token"] = token
    headers = JSON | {"X-Correlation-Id": CORRELATION}
    body = body_now("PostRegister", **members)
    return service.ask("/v1/register", method="POST", data=body, headers=headers)


def told(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json.get("code")


def test_a_token_has_one_spelling() -> None:
    text = bootstrap_token_text(TOKEN_ID, SECRET)
    presented = parse_bootstrap_token(text)
    assert presented is not None
    assert (presented.kind, presented.caller.kind) == ("node", PrincipalKind.BOOTSTRAP_TOKEN)
    assert presented.caller.id == str(TOKEN_ID)
    assert presented.caller.credential.secret_key_digest == SecretKey(SECRET).digest
    others = (text.upper(), text[:-1], text + "a", f"{text[:-1]}b", f" {text}", f"{text}\n")
    assert [parse_bootstrap_token(other) for other in others] == [None] * len(others)


def test_an_issued_token_enrols_one_node() -> None:
    service = FakeService()
    issued = issue(service)
    assert (issued.status_code, issued.headers["Cache-Control"]) == (201, "no-store")
    token = issued.json["token"]
    answer = enrol(service, token, resource_handle="press-9")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    assert list(answer.json) == [
        *("node_id", "mesh_ip", "domain_mesh_cidr", "signing_key_id", "signing_public_key"),
        *("nsk", "peer_snapshot"),
    ]
    for name in ("nsk", "signing_public_key"):
        assert len(base64.b64decode(answer.json[name], validate=True)) == 32
    assert len(answer.json["peer_snapshot"]) == 3
    assert service.outbox.calls == [f"node:{answer.json['node_id']}"]
    rows = [(row.relation, row.outcome, row.subject, row.object) for row in service.audit.rows]
    caller = f"bootstrap-token:{issued.json['token_id']}"
    assert rows == [
        ("bootstrap_token.issue", "granted", FIRST, f"domain:{DOMAIN}"),
        ("node.enrol", "granted", caller, f"node:{answer.json['node_id']}"),
    ]
    assert told(enrol(service, token)) == (403, "token_consumed")


@pytest.mark.parametrize("role", [("domain-edit", f"domain:{DOMAIN}"), ("manage", PLATFORM)])
def test_a_token_counts_while_its_issuer_may_edit_the_domain(role: tuple[str, str]) -> None:
    service = FakeService()
    service.relations.grants = {(FIRST, *role)}
    assert enrol(service).status_code == 201


def test_a_token_of_an_issuer_without_the_role_is_revoked_and_on_record() -> None:
    service = FakeService()
    # Asked fully consistent: what this process still remembers does not count.
    service.relations.revoked_at_least = set(service.relations.grants)
    assert told(enrol(service)) == (403, "token_revoked")
    (row,) = service.audit.rows
    assert (row.relation, row.outcome, row.object) == (
        *("node.enrol", "insufficient_relation", f"domain:{DOMAIN}"),
    )
    assert row.subject.startswith("bootstrap-token:")
    service.relations.revoked_at_least = set()
    assert enrol(service).status_code == 201


def test_a_wrong_secret_costs_no_question_of_a_relation() -> None:
    service = FakeService()
    token = issue(service).json["token_id"]
    asked = len(service.relations.calls_now)
    answers = [
        enrol(service, bootstrap_token_text(UUID(token), bytes(32))),
        enrol(service, bootstrap_token_text(TOKEN_ID, SECRET)),
    ]
    assert [told(answer) for answer in answers] == [(422, "bootstrap_token_invalid")] * 2
    assert answers[0].data == answers[1].data
    assert len(service.relations.calls_now) == asked


@pytest.mark.parametrize("port", ["ledger", "event_keys", "node_registry"])
def test_what_fails_before_the_enrolment_consumes_nothing(port: str) -> None:
    service = FakeService()
    failing = getattr(service, port)
    failing.fails = DatastoreUnavailable("away")
    assert told(enrol(service)) == (503, "datastore_unavailable")
    failing.fails = None
    assert enrol(service).status_code == 201


def test_relationships_that_cannot_be_written_now_are_left_to_the_outbox_relay() -> None:
    service = FakeService()
    service.outbox.fails = AuthzUnavailable("away")
    assert enrol(service).status_code == 201


def test_enrolments_are_limited_by_source_alone_before_the_token_is_read() -> None:
    """A caller may invent any number of tokens."""
    service = FakeService()
    service.limits.fails = RateLimited("too often", 6.2)
    service.bootstrap_tokens.fails = RuntimeError("read")
    answer = enrol(service)
    assert (told(answer), answer.headers["Retry-After"]) == ((429, "rate_limited"), "7")
    ((subject, _, *limited),) = service.limits.calls
    assert (subject, limited) == ("bootstrap-token", [Limit.ENROLMENTS, None])
    service.limits.fails = service.bootstrap_tokens.fails = None
    assert enrol(service).status_code == 201


def test_no_credential_is_read_and_none_is_asked_for() -> None:
    service = FakeService()
    body = body_now("PostRegister")
    answer = service.ask("/v1/register", "nonsense", method="POST", data=body, headers=JSON)
    assert (answer.status_code, service.seen) == (201, [])


def test_without_event_keys_the_501_comes_before_the_body_is_read() -> None:
    service = FakeService(has_event_keys=False)
    answer = service.ask("/v1/register", method="POST", data=b"x" * 100_000)
    assert told(answer) == (501, "registration_not_provisioned")
    registered = service.ask(
        f"/v1/domains/{DOMAIN}/nodes",
        1,
        method="POST",
        data=body_now("RegisterNode"),
        headers=JSON,
    )
    assert registered.status_code == 201
    assert not {"signing_key_id", "signing_public_key"} & json.loads(registered.data).keys()
