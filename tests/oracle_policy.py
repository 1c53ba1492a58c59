"""The second implementation's policy block, from the design's text alone."""

import base64
import hashlib
import ipaddress
import json
import re
from typing import Any

from tests.oracle_rows import (
    Connection,
    NoBodyError,
    by_bytes,
    rows_of,
)

# The contract's pattern of a range: IPv4, or IPv6 without a dotted part.
IPV4_CIDR = re.compile(r"([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}", re.ASCII)
IPV6_CIDR = re.compile(r"[0-9a-fA-F:]+/[0-9]{1,3}", re.ASCII)


def policy(connection: Connection, node_id: str) -> dict[str, Any] | None:
    rows = rows_of(
        connection,
        "SELECT policy_id::text, revision_id::text, rule_payload, fingerprint "
        "FROM plexsphere.policy_compiled_ruleset WHERE node_id = %s",
        node_id,
    )
    if not rows:
        return None
    rows.sort(key=lambda row: by_bytes(row[0]))
    stream = b""
    for policy_id, _, payload, fingerprint in rows:
        if hashlib.sha256(bytes(payload)).digest() != bytes(fingerprint):
            raise NoBodyError(f"policy {policy_id}: fingerprint")
        stream += bytes(payload)
        if stream and not stream.endswith(b"\n"):
            raise NoBodyError(f"policy {policy_id}: the last rule has no frame")
    return {
        "revision_id": rows[0][1],
        "fingerprint": base64.b64encode(hashlib.sha256(stream).digest()).decode(),
        "rules": [_rule(line) for line in stream.split(b"\n")[:-1]],
    }


def _rule(line: bytes) -> dict[str, Any]:
    try:
        rule = json.loads(line.decode("utf-8"), object_pairs_hook=_each_key_once)
    except ValueError as error:
        raise NoBodyError(f"a rule does not parse: {error}") from None
    if not isinstance(rule, dict):
        raise NoBodyError("a rule is no object")
    names = ["action", "protocol", "source_cidr", "destination_cidr"]
    if rule.get("protocol") in ("tcp", "udp"):
        names.append("ports")
    if set(rule) != set(names):
        raise NoBodyError(f"a rule has the keys {sorted(rule)}")
    if rule["action"] not in ("allow", "deny", "log"):
        raise NoBodyError("action")
    if rule["protocol"] not in ("tcp", "udp", "icmp", "any"):
        raise NoBodyError("protocol")
    if _family(rule["source_cidr"]) != _family(rule["destination_cidr"]):
        raise NoBodyError("two address families in one rule")
    answer = {name: rule[name] for name in names}
    if "ports" in answer:
        answer["ports"] = _ports(answer["ports"])
    return answer


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key twice: that is no canonical JSON")
    return dict(pairs)


def _family(cidr: object) -> int:
    if not isinstance(cidr, str) or len(cidr) > 49:
        raise NoBodyError("a range is none")
    if not IPV4_CIDR.fullmatch(cidr) and not IPV6_CIDR.fullmatch(cidr):
        raise NoBodyError("a range is none")
    try:
        return ipaddress.ip_network(cidr, strict=False).version
    except ValueError:
        raise NoBodyError("a range is none") from None


def _ports(ports: object) -> dict[str, int]:
    if not isinstance(ports, dict) or set(ports) != {"from", "to"}:
        raise NoBodyError("ports")
    low, high = ports["from"], ports["to"]
    if type(low) is not int or type(high) is not int or not 1 <= low <= high <= 65535:
        raise NoBodyError("ports")
    return {"from": low, "to": high}
