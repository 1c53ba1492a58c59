"""Generated rule sets: canonical, misspelt, cut, and under fingerprints that are not theirs."""

from __future__ import annotations

import hashlib
import json

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.ledger_parts import (
    bad_lines,
    ports,
    rarely,
)
from tests.ledger_tables import Row, line
from tests.ledger_words import (
    CIDR_PAIRS,
    POLICY_IDS,
    REVISION_IDS,
)


@st.composite
def rules(draw: DrawFn) -> bytes:
    """One rule, usually in its canonical line."""
    style = draw(rarely(["spaced", "turned", "bad"], ["canonical"], 10))
    if style == "bad":
        return draw(bad_lines)
    action = draw(st.sampled_from(["allow", "deny", "log"]))
    protocol = draw(st.sampled_from(["any", "icmp", "tcp", "udp"]))
    source, destination = draw(st.sampled_from(CIDR_PAIRS))
    rule: Row = {
        "action": action,
        "protocol": protocol,
        "source_cidr": source,
        "destination_cidr": destination,
    }
    if protocol in ("tcp", "udp"):
        low, high = sorted((draw(ports), draw(ports)))
        rule["ports"] = {"from": low, "to": high}
    if style == "spaced":
        return json.dumps(rule).encode() + b" \r"
    if style == "turned":
        rule = dict(reversed(rule.items()))
    return line(rule).encode()


@st.composite
def _rule_set(draw: DrawFn) -> Row:
    lines = [draw(rules()) for _ in range(draw(st.sampled_from([0, 1, 1, 2, 2, 3])))]
    lines *= draw(rarely([-(-1024 // max(1, len(lines)))], [1], 6))
    payload = b"".join(line + b"\n" for line in lines)
    flaw = draw(rarely(["cut", "fingerprint", "short", "empty"], [""], 16))
    if flaw == "cut":
        payload = payload[:-1]
    fingerprint = hashlib.sha256(payload).digest()
    if flaw == "fingerprint":
        fingerprint = hashlib.sha256(payload + b"\n").digest()
    elif flaw in ("short", "empty"):
        fingerprint = fingerprint[: 31 if flaw == "short" else 0]
    return {
        "policy_id": draw(st.sampled_from(POLICY_IDS)),
        "revision_id": draw(st.sampled_from(REVISION_IDS)),
        "rule_payload": payload,
        "fingerprint": fingerprint,
    }


rule_sets = st.lists(_rule_set(), min_size=1, max_size=4, unique_by=lambda row: row["policy_id"])
