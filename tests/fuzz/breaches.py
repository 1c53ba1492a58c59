"""Planted breaches: each a way to lie, switched on in a test build, and the check that must see it.

``by`` names one check that has to catch it; the report lists all that did. The first third is what
a schema says, the rest what none can say.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.fuzz import breach_edits as lie
from tests.fuzz import breach_writes as write
from tests.fuzz.breach_edits import SwitchOn

PULL, EVENTS = "GetNodeState", "GetNodeEvents"
SCHEMA = "response_schema_conformance"
HEADERS = "response_headers_conformance"
STATUS = "status_code_conformance"
MEDIA = "content_type_conformance"
METHOD = "unsupported_method"
LEDGER = "snapshot_is_the_ledgers"
SORTED = "peers_are_sorted_and_others"
TEXTS = "texts_are_the_contracts"
CODE = "code_is_declared_for_the_status"
VALID = "body_is_valid"
COMPACT = "json_is_compact"
MARK = "correlation_id_is_one"
DIRECTED, AUDIT = "directed_status", "audit"
GRANTED, AUTH = "granted_to_its_agent_alone", "ignored_auth"
GONE, TOKEN = "removed_stays_gone", "token_is_of_the_node"
ONE, CURSOR = "one_key_makes_one_object", "cursor_is_of_the_domain"
TAG, TAGS = "tag_stands_for_one_state", "tag_decides_between_200_and_304"
LEAK = "relation plexsphere.nodes does not exist at 10.0.0.7:5432"


@dataclass(frozen=True, slots=True)
class Planted:
    """One breach: who has to see it, what it does to a build, and where it shows."""

    name: str
    by: str
    switch_on: SwitchOn
    operation: str = PULL

    @property
    def coverage(self) -> bool:
        """Whether it takes the phase that alone sends methods that are not declared."""
        return self.by == METHOD


PLANTED = (
    # what the schema says
    Planted("missing key", SCHEMA, lie.on_value(200, lambda value: value.pop("bridge"))),
    Planted("null array", SCHEMA, lie.top(peers=None)),
    Planted("extra key", VALID, lie.top(revision=1)),
    Planted("extra key in a peer", VALID, lie.to_peer(hostname="node-1")),
    Planted("short key", SCHEMA, lie.to_peer(public_key=lie.SHORT_KEY)),
    Planted("upper-case UUID", SCHEMA, lie.to_peer(node_id=lie.UPPER)),
    Planted("nil peer", SORTED, lie.to_peer(node_id=lie.NIL)),
    Planted("no such date", SCHEMA, lie.reachability(changed_at="2026-02-30T00:00:00Z")),
    Planted("date with an offset", VALID, lie.reachability(changed_at=lie.OTHER_TIME)),
    Planted("unknown reachability", SCHEMA, lie.reachability(state="fine")),
    Planted("truncated body", SCHEMA, lie.body(lambda sent: sent[:-9])),
    # statuses, media types, headers
    Planted("extra status", STATUS, lie.on_answer(200, lie.to_status(202))),
    Planted("extra meta status", STATUS, lie.on_answer(200, lie.to_status(429)), "GetVersion"),
    Planted("wrong media type", MEDIA, lie.with_header(200, "Content-Type", "text/html")),
    Planted("Problem as JSON", MEDIA, lie.with_header(403, "Content-Type", "application/json")),
    Planted("missing ETag", HEADERS, lie.without_header(200, "ETag")),
    Planted("no correlation id", HEADERS, lie.without_header(200, "X-Correlation-Id"), "GetLivez"),
    Planted("missing challenge", HEADERS, lie.without_header(401, "WWW-Authenticate")),
    Planted("503 without Retry-After", HEADERS, lie.without_header(503, "Retry-After")),
    Planted("shared cache", HEADERS, lie.with_header(200, "Cache-Control", "public")),
    Planted("lax page", HEADERS, lie.without_header(200, "Content-Security-Policy"), "GetDocs"),
    Planted("405 without Allow", METHOD, lie.without_header(405, "Allow"), "GetVersion"),
    Planted("undeclared method", METHOD, lie.undeclared_method_served, "GetVersion"),
    # what no schema says
    Planted("unsorted peers", SORTED, lie.on_value(200, lambda value: value["peers"].reverse())),
    Planted("duplicate peer", SORTED, lie.on_value(200, lie.duplicate_the_first_peer)),
    Planted("self among the peers", SORTED, lie.self_among_peers),
    Planted("a peer left out", LEDGER, lie.on_value(200, lie.drop_a_peer)),
    Planted("another Node's data", LEDGER, lie.another_nodes_data),
    Planted("stray bits in base64", "base64_is_valid", lie.on_value(200, lie.stray_bits)),
    Planted("state != reports", "state_equals_reports", lie.on_value(200, lie.empty_the_reports)),
    Planted(
        "fingerprint of other rules",
        "fingerprint_is_of_the_rules",
        lie.on_value(200, lie.allow_everything),
    ),
    Planted(
        "spaces in JSON", COMPACT, lie.body(lambda sent: sent.replace(b":", b": ", 1)), "GetVersion"
    ),
    Planted(
        "duplicate JSON key",
        COMPACT,
        lie.body(lambda sent: sent.replace(b'{"peers":', b'{"peers":[],"peers":', 1)),
    ),
    Planted(
        "another contract",
        "contract_is_the_file",
        lie.body(lambda sent: sent + b"\n"),
        "GetOpenapi",
    ),
    # Problems
    Planted("leaking detail", TEXTS, lie.problem(404, detail=LEAK)),
    Planted("leaking 500", TEXTS, lie.problem(500, detail=LEAK)),
    Planted(
        "Problem.status unlike HTTP",
        "problem_status_is_the_http_status",
        lie.problem(403, status=404),
    ),
    Planted("code of another status", CODE, lie.problem(403, code="node_not_found")),
    Planted("code on a 500", CODE, lie.problem(500, code="datastore_unavailable")),
    Planted(
        "another request's instance", "instance_is_the_path", lie.problem(403, instance="/v1/nodes")
    ),
    Planted("wrong correlation id", MARK, lie.problem(403, correlation_id="0" * 32)),
    Planted("id not echoed", MARK, lie.with_header(200, "X-Correlation-Id", "0" * 32), "GetLivez"),
    # conditional requests
    Planted("stale ETag", TAG, lie.with_header(200, "ETag", 'W/"0123456789abcdef"')),
    Planted("changing ETag", TAG, lie.changing_tags),
    Planted("304 without a matching tag", TAGS, lie.not_modified_always),
    Planted("200 although the tag matches", TAGS, lie.tags_ignored),
    Planted("a body on HEAD", "bodyless_answers_have_no_body", lie.a_body_on_head),
    # the gates
    Planted("200 without an audit row", AUDIT, lie.audit_lost),
    Planted("audit sink that raises", AUDIT, lie.audit_breaks),
    Planted("401 before the 501", DIRECTED, lie.credential_asked_first),
    Planted("501 of another operation", CODE, lie.problem(501, code="heartbeat_not_provisioned")),
    Planted(
        "404 for what does not exist yet", DIRECTED, lie.on_answer(501, lie.to_status(404)), EVENTS
    ),
    Planted("auth ignored", AUTH, lie.auth_ignored),
    Planted("relation ignored", GRANTED, lie.relation_ignored),
    Planted("ids in any case", DIRECTED, lie.ids_in_any_case),
    Planted("queries passed over", DIRECTED, lie.queries_passed_over, "GetVersion"),
    # the writes, and pages that go on
    Planted("write without an audit row", AUDIT, write.only_refusals_audited, "RotateNodeKey"),
    Planted("204 that keeps the entry", GONE, write.entries_kept, "DeleteNodeData"),
    Planted("204 that keeps the Node", GONE, write.nodes_kept, "DeleteNode"),
    Planted("201 with another Node's token", TOKEN, write.another_nodes_token, "RegisterNode"),
    Planted("renewal of another Node's token", TOKEN, write.another_nodes_token, "RenewNodeToken"),
    Planted("200 for a 201", DIRECTED, lie.on_answer(201, lie.to_status(200)), "CreateDomain"),
    Planted("idempotency key passed over", ONE, write.keys_passed_over, "RegisterNode"),
    Planted("another Node's relation", GRANTED, lie.relation_ignored, "RotateNodeKey"),
    Planted("auth of a write ignored", AUTH, lie.auth_ignored, "RotateNodeKey"),
    Planted("leaking 409", TEXTS, lie.problem(409, detail=LEAK), "CreateDomain"),
    Planted("extra key in a 201", VALID, lie.on_value(201, lie.add_a_key), "CreateDomain"),
    Planted("cursor of another Domain", CURSOR, write.cursors_of_any_domain, "ListDomainNodes"),
)
