"""Values of the ledger at their limits: the shortest, the longest, each word, each part absent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from composer.events import (
    BRIDGE_CONFIG_UPDATED,
    MANY_PEERS,
    NODE_STATE_UPDATED,
    PEER_ADDED,
    PEER_ENDPOINT_CHANGED,
    PEER_KEY_ROTATED,
    PEER_REMOVED,
    POLICY_UPDATED,
    REACHABILITY_CHANGED,
    RESYNC_REQUIRED,
    SIGNING_KEY_ROTATED,
    BridgeConfigUpdated,
    Event,
    Payload,
    PeerEndpointChanged,
    PeerKeyRotated,
    PeerRemoved,
    PolicyUpdated,
    PullRequired,
    ResyncRequired,
    SigningKeyRotated,
)
from composer.peers import PeerRow, domain_peers
from composer.policy import ACTIONS, PROTOCOLS, PROTOCOLS_WITH_PORTS
from composer.position import LedgerPosition
from composer.reachability import DEFAULT_POLICY, STATES, ZERO_TIME, ReachabilityPolicy
from composer.registry import ChildCounts, Domain, NodeSummary
from composer.snapshot import (
    Bridge,
    BridgeRelay,
    CompiledRule,
    Ingress,
    IngressRule,
    Policy,
    PolicyPortRange,
    Reachability,
    RelayAssignment,
    Reports,
    SiteToSite,
    SiteToSiteTunnel,
    StateEntry,
    UserAccess,
    UserAccessProvider,
)
from server.events.opening import EVENTS_LOST

# The first and the last UUID that is not reserved, and one with every digit.
FIRST_ID, LAST_ID = UUID(int=1), UUID(int=2**128 - 2)
ID = UUID("01234567-89ab-7def-8123-456789abcdef")
# 32 bytes whose base64 has every kind of character.
KEY = bytes.fromhex("fbefbe0010831051872092cb3e35dbeffbf0" + "5a" * 14)
MOMENT = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
MOMENTS = (MOMENT, MOMENT.replace(microsecond=250_000), datetime.max.replace(tzinfo=UTC))
LARGEST_COUNT = 2**53 - 1
WORDS = "Zoë's plant, 2nd floor/α <x>"

_LONG_HOST = ".".join(["a" * 63] * 3 + ["b" * 61])  # 253 characters
_SLUGS = ("0", "a-1", "a" * 63)
_SECRETS = ("secret:a/b/c", "secret:ops/eu-1/key_A:v2", f"secret:a/b/{'c' * 501}")
_LONGEST_IPV6 = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"


def _rules() -> tuple[CompiledRule, ...]:
    networks = (("10.42.0.7/32", "0.0.0.0/0"), (f"{_LONGEST_IPV6}/128", "::/0"))
    ports = (PolicyPortRange(1, 65_535), PolicyPortRange(443, 443))
    return tuple(
        CompiledRule(action, protocol, *network, ranges)
        for action in sorted(ACTIONS)
        for protocol in sorted(PROTOCOLS)
        for network in networks
        for ranges in (ports if protocol in PROTOCOLS_WITH_PORTS else (None,))
    )


def _relay(*assignments: RelayAssignment) -> BridgeRelay:
    return BridgeRelay(enabled=bool(assignments), listen_port=65_535, assignments=assignments)


POLICIES = (Policy(ID, KEY, _rules()), Policy(FIRST_ID, bytes(32), ()), None)
BRIDGES = (
    Bridge(
        relay=_relay(
            RelayAssignment(FIRST_ID, "relay.example", 1),
            RelayAssignment(ID, _LONGEST_IPV6, 443),
            RelayAssignment(LAST_ID, _LONG_HOST, 65_535),
        ),
        user_access=UserAccess(
            tuple(
                UserAccessProvider(
                    id=ID,
                    slug=slug,
                    kind=kind,
                    interface_name=name,
                    listen_port=port,
                    max_peers=peers,
                    auth_secret_ref=secret,
                    routing_policy=policy,
                    created_at=created,
                    updated_at=created,
                )
                for kind in ("netbird", "tailscale", "wireguard")
                for slug, name, port, peers, secret, policy, created in zip(
                    _SLUGS,
                    ("w", "wg0", WORDS),
                    (1, 51_820, 65_535),
                    (1, 64, 2**31 - 1),
                    _SECRETS,
                    ({}, {"routes": ["10.0.0.0/8"], "nat": {"on": True}}, {"": None}),
                    MOMENTS,
                    strict=True,
                )
            )
        ),
        ingress=Ingress(
            tuple(
                IngressRule(ID, slug, host, node_id, port, created, created, account)
                for slug, host, node_id, port, created, account in zip(
                    _SLUGS,
                    ("a", "API-1.example.com", _LONG_HOST),
                    (FIRST_ID, ID, LAST_ID),
                    (1, 443, 65_535),
                    MOMENTS,
                    (None, "", WORDS),
                    strict=True,
                )
            )
        ),
        site_to_site=SiteToSite(
            tuple(
                SiteToSiteTunnel(
                    id=ID,
                    slug=slug,
                    kind=kind,
                    remote_host=host,
                    remote_port=port,
                    auth_secret_ref=secret,
                    allowed_subnets=subnets,
                    routing_policy=policy,
                    created_at=created,
                    updated_at=created,
                )
                for slug, kind, host, port, secret, subnets, policy, created in zip(
                    _SLUGS,
                    ("wireguard", "ipsec", "openvpn"),
                    ("h", "2001:db8::1", _LONG_HOST),
                    (1, 500, 65_535),
                    _SECRETS,
                    ((), ("10.0.0.0/8",), ("::/0", f"{_LONGEST_IPV6}/128")),
                    ("bidirectional", "ingress_only", "egress_only"),
                    MOMENTS,
                    strict=True,
                )
            )
        ),
    ),
    Bridge(_relay(), UserAccess(()), Ingress(()), SiteToSite(())),
    Bridge(),
    None,
)
REACHABILITIES = tuple(
    Reachability(state, seen, MOMENT) for state in STATES for seen in (ZERO_TIME, *MOMENTS)
)
_ENTRIES = (
    StateEntry("k", ""),
    StateEntry("a.b_c-9", WORDS, "w"),
    StateEntry("Ω" * 128, "€" * 1_365 + "\n", "t" * 4_096),
)
REPORTS = (Reports(_ENTRIES, _ENTRIES, _ENTRIES), Reports())

POSITIONS = (
    LedgerPosition(system=1, timeline=1, all_before=1, none_from=1),
    LedgerPosition(2**64 - 1, 2**32 - 1, 2**63 - 1, 2**63 - 1),
)
DOMAIN_PEERS = domain_peers(
    ID,
    FIRST_ID,
    (
        PeerRow(FIRST_ID, "10.42.0.1", KEY),
        PeerRow(UUID(int=2), "255.255.255.255", bytes([255]) * 32, "relay.example", 1),
        PeerRow(UUID(int=3), "fd00::1", KEY, "2001:db8::1", 65_535),
        PeerRow(ID, "::ffff:255.255.255.255", KEY, _LONG_HOST, 65_535),
        PeerRow(LAST_ID, _LONGEST_IPV6, bytes(31) + b"\x01"),
    ),
)
NO_PEERS = domain_peers(ID, FIRST_ID, ())

_HOUR = timedelta(hours=1)
DOMAINS = (
    Domain(ID, WORDS, "a", "", "", "10.0.0.0/8", MOMENT, MOMENTS[1]),
    Domain(
        LAST_ID,
        "n" * 255,
        "s" * 64,
        "d\n" * 512,
        "r" * 64,
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126",
        MOMENTS[1],
        MOMENTS[2],
        ReachabilityPolicy(timedelta(seconds=10), timedelta(seconds=30.25), _HOUR),
        ChildCounts(*[LARGEST_COUNT] * 5),
    ),
    Domain(FIRST_ID, "", None, None, None, None, MOMENT, MOMENT, DEFAULT_POLICY),
)
NODES = (
    NodeSummary(FIRST_ID, ID, "n" * 255, "10.42.0.1", MOMENT),
    NodeSummary(ID, FIRST_ID, WORDS, _LONGEST_IPV6, MOMENTS[1]),
    NodeSummary(LAST_ID, LAST_ID, "", None, MOMENTS[2]),
)

_EVENT_PAYLOADS: tuple[tuple[str, tuple[Payload, ...]], ...] = (
    (PEER_ADDED, DOMAIN_PEERS.peers),
    (PEER_REMOVED, (PeerRemoved(FIRST_ID), PeerRemoved(LAST_ID))),
    (PEER_KEY_ROTATED, (PeerKeyRotated(ID, KEY),)),
    (
        PEER_ENDPOINT_CHANGED,
        tuple(
            PeerEndpointChanged(peer.node_id, peer.fallback_endpoint) for peer in DOMAIN_PEERS.peers
        ),
    ),
    (POLICY_UPDATED, (*map(PolicyUpdated, POLICIES), PullRequired())),
    (
        BRIDGE_CONFIG_UPDATED,
        (
            *(BridgeConfigUpdated(ID, bridge) for bridge in BRIDGES),
            BridgeConfigUpdated(None, None),
            PullRequired(),
        ),
    ),
    (NODE_STATE_UPDATED, (*REPORTS, PullRequired())),
    (REACHABILITY_CHANGED, REACHABILITIES),
    (SIGNING_KEY_ROTATED, (SigningKeyRotated("f" * 16, KEY, "0123456789abcdef", MOMENT),)),
    (RESYNC_REQUIRED, (ResyncRequired(MANY_PEERS), ResyncRequired(EVENTS_LOST))),
)
EVENTS = tuple(Event(kind, payload) for kind, payloads in _EVENT_PAYLOADS for payload in payloads)
