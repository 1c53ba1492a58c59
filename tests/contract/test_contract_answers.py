"""An edit that no answer of the service can fulfil is told at its line; every other is served."""

from __future__ import annotations

from handlers import OPERATIONS
from server.authoring.samples import sample_answers
from server.contract.document import Contract
from tests.contract.answer_drift import Given, answer_complaints
from tests.contract.test_contract_edits import complaints

TEXT = Contract.packaged().raw.decode()
SAMPLES = sample_answers(Contract.packaged(), OPERATIONS)
# The document of the contract is open: its samples are the file itself.
OPEN = "GetOpenapiJson"

# The component, what is there, what an author writes, and the start of the line that is told.
REFUSED = (
    # An enum without a word that the service sends.
    ("Reachability", "stale, unreachable, '']", "stale, unreachable]", "[healthy, stale, unr"),
    ("NodeStateCompiledRule", "[allow, deny, log]", "[allow, deny]", "[allow, deny]"),
    ("BridgeUserAccessProviderResponse", "[netbird, tailscale, wireguard]", "[netbird]", "[netb"),
    ("BridgeSiteToSiteTunnelResponse", "[wireguard, ipsec, openvpn]", "[ipsec]", "[ipsec]"),
    ("HealthCheck", "[ok, degraded, down]", "[ok, down]", "[ok, down]"),
    ("Jwk", "[EdDSA, ES256, RS256]", "[EdDSA]", "[EdDSA]"),
    ("ReachabilityChangedEvent", "[reachability_changed]", "[moved]", "[moved]"),
    # Another type, or null no more.
    ("NodeStatePeer", "type: string\n          minLength: 1", "type: integer", "integer"),
    ("Port", "type: integer\n      format: int32", "type: string", "string"),
    ("NodeStateBridge", "nullable: true", "nullable: false", "object"),
    # A member that no answer has, or not every answer.
    ("NodeKey", "[node_id, public_key]", "[node_id, public_key, seq]", "seq]"),
    ("NodePage", "[items]", "[items, next_cursor]", "next_cursor]"),
    ("Domain", "required: [id,", "required: [slug, id,", "slug, id"),
    ("NodeRegistration", "expires_at, nsk]", "expires_at, nsk, signing_key_id]", "signing_key_id]"),
    ("BridgeConfigUpdated", "anyOf:", "required: [bridge_resource_id]\n      anyOf:", "bridge_res"),
    # A member of another name.
    ("NodeEnrolment", "        nsk:", "        secret:", "node_id:"),
    ("NodeHeartbeatResponse", "        reconcile:", "        pull:", "accepted_at:"),
    ("PeerKeyRotated", "        public_key:", "        key:", "node_id:"),
    ("Problem", "child_counts:\n          $ref", "counts:\n          $ref", "type:"),
    # A smaller set of texts, numbers or items.
    ("Slug", "^[a-z0-9]+(-[a-z0-9]+)*$", "^[a-z]+$", "^[a-z]+$"),
    ("Jwk", "maxLength: 1366", "maxLength: 342", "342"),
    ("Domain", "maxLength: 255", "maxLength: 200", "200"),
    ("StateEntry", "to the service.\n          type: string", "x\n          minLength: 1", "1\n"),
    ("Count", "maximum: 9007199254740991", "maximum: 65535", "65535"),
    ("DomainPage", "maxItems: 200", "maxItems: 100", "100"),
    ("NodeStatePolicy", "type: array", "type: array\n          minItems: 1", "1"),
    ("EventEnvelope", "^(domain|node):", "^(domain):", "^(domain):"),
    ("AuditCursorText", "^[A-Za-f]", "^[A-Z]{2}", "^[A-Z]{2}"),
    # A format that is new.
    ("Cidr", "type: string", "type: string\n      format: uuid", "uuid"),
    ("Timestamp", "format: date-time", "format: uri", "uri"),
)
SERVED = (
    ("Domain", "        slug:", "        owner: { type: string }\n        slug:"),
    ("Reachability", "[healthy, ", "[never_reported, healthy, "),
    ("Domain", "maxLength: 255", "maxLength: 300"),
    ("Domain", "created_at, updated_at,", "created_at,"),
    ("NodeStatePeer", "additionalProperties: true", "additionalProperties: false"),
    ("NodeKey", "type: object", "type: object\n      nullable: true"),
)


def edited(*edits: tuple[str, ...]) -> str:
    """The file, with the first ``old`` behind the name of each component replaced."""
    text = TEXT
    for component, old, new, *_ in edits:
        at = text.index(old, text.index(f"\n    {component}:\n", text.index("\n  schemas:\n")))
        text = text[:at] + new + text[at + len(old) :]
    return text


def test_every_edit_that_no_answer_can_fulfil_is_told_at_its_line() -> None:
    faults = complaints(edited(*REFUSED), OPERATIONS)
    for component, _, new, line in REFUSED:
        assert any(f"{at}\n".startswith(line) for at, _ in faults), (component, new, faults)
    assert len(faults) == len(REFUSED), faults


def test_a_complaint_has_the_operations_the_value_and_its_place() -> None:
    (complaint,) = complaints(edited(REFUSED[0]), OPERATIONS)
    sentence = 'GetNodeState and 3 more: can answer "" at /reachability/state, which enum does not'
    assert complaint[1] == f"{sentence} allow"


def test_an_event_without_a_schema_is_told() -> None:
    line = "          peer_removed: '#/components/schemas/PeerRemovedEvent'\n"
    ((_, complaint),) = complaints(edited(("NodeEvent", line, "")), OPERATIONS)
    assert complaint == "GetNodeEvents: sends peer_removed, which has no schema here"


def test_an_edit_that_every_answer_still_fulfils_is_served() -> None:
    assert complaints(edited(*SERVED), OPERATIONS) == []


def test_the_samples_show_every_member_and_every_word_of_every_answer() -> None:
    values = [
        Given.of(name, answer)
        for name, answers in SAMPLES.items()
        for answer in answers
        if name != OPEN
    ]
    assert len(values) > 150
    complaints = answer_complaints(Contract.packaged().document, values)
    assert [line for line in complaints if OPEN not in line and "OpenapiDoc" not in line] == []


def test_the_samples_have_the_headers_that_the_handlers_add() -> None:
    for name, answers in SAMPLES.items():
        sent = {header for answer in answers for header in answer.headers if answer.status < 400}
        operation = OPERATIONS[name]
        assert sent - set(operation.headers) == set(operation.sent_headers), name


def test_an_answer_of_another_media_type_is_told() -> None:
    at = TEXT.index("text/plain:", TEXT.index("  /metrics:"))
    text = TEXT[:at] + "text/csv:" + TEXT[at + len("text/plain:") :]
    (complaint,) = complaints(text, OPERATIONS)
    assert complaint[1] == "GetMetrics: sends text/plain, which is not declared"
