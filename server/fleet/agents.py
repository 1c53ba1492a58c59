"""A simulated agent: its credential, its requests, and the state it applied."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from server.authn.strict import base64url, json_object
from server.fleet.wire import UNREADABLE, AgentAnswer, send

VERSION = "0.0.0-simulated"
# SHA-256 of the binary, in base64.
CHECKSUM = base64.b64encode(hashlib.sha256(VERSION.encode()).digest()).decode()
REPORT = "inventory"
# Characters of a report: enough that it is sent compressed, and less than the 4,096 bytes allowed.
REPORT_SIZE = 3_000

Value = Mapping[str, Any]


class Picture:
    """The state an agent has applied, by differences as plexd does: a missing peer is removed."""

    def __init__(self) -> None:
        self._peers: dict[str, Value] = {}
        self._whole: dict[str, Any] = {}
        # By block and bucket. The two blocks are kept apart, although they should be equal.
        self._entries: dict[str, dict[str, dict[str, Value]]] = {"state": {}, "reports": {}}

    def apply(self, snapshot: Value) -> int:
        """Applies a whole snapshot; the number of changes."""
        corrections = _reconcile(self._peers, snapshot["peers"], "node_id")
        for name in ("policy", "bridge"):
            if name not in self._whole or self._whole[name] != snapshot[name]:
                self._whole[name] = snapshot[name]
                corrections += 1
        for block, buckets in self._entries.items():
            for bucket in buckets.keys() - snapshot[block].keys():
                corrections += len(buckets.pop(bucket))
            for bucket, entries in snapshot[block].items():
                corrections += _reconcile(buckets.setdefault(bucket, {}), entries, "key")
        return corrections

    @property
    def desired_state(self) -> Value:
        """The envelope without ``reachability``, which is no desired state."""
        blocks = {
            block: {bucket: _sorted(entries) for bucket, entries in buckets.items()}
            for block, buckets in self._entries.items()
        }
        return {"peers": _sorted(self._peers), **self._whole, **blocks}


def _reconcile(present: dict[str, Value], desired: Sequence[Value], key: str) -> int:
    by_key = {str(value[key]): value for value in desired}
    stale = [name for name in present if name not in by_key]
    changed = {name: value for name, value in by_key.items() if present.get(name) != value}
    for name in stale:
        del present[name]
    present.update(changed)
    return len(stale) + len(changed)


def _sorted(by_key: Mapping[str, Value]) -> list[Value]:
    return [by_key[name] for name in sorted(by_key)]


@dataclass(slots=True)
class Agent:
    """``credential`` is a node secret key or a token, of which a token is renewed in time.

    ``etag`` of the last snapshot applied; ``corrections`` is the number of changes so far.
    """

    url: str
    node_id: str
    domain_id: str
    credential: str = field(repr=False)
    conditional: bool = False
    picture: Picture = field(default_factory=Picture)
    etag: str = ""
    corrections: int = 0
    # An agent has one pull under way, whatever asked for it.
    _pulling: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def heartbeat(self) -> AgentAnswer:
        """A heartbeat, with the time of the agent's clock."""
        value = {
            "client_now": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "binary_checksum": CHECKSUM,
            "binary_version": VERSION,
            "nat_summary": {},
        }
        return send(self.url, "POST", f"{self._path}/heartbeat", self.credential, value)

    def pull(self) -> AgentAnswer:
        """A pull. A 200 is applied; after any other answer the agent keeps what it has."""
        with self._pulling:
            return self._pull()

    def _pull(self) -> AgentAnswer:
        condition = {"If-None-Match": self.etag} if self.conditional and self.etag else {}
        answered = send(self.url, "GET", f"{self._path}/state", self.credential, headers=condition)
        if answered.status != 200:
            return answered
        try:
            snapshot = answered.json
        except ValueError:
            return AgentAnswer(
                status=UNREADABLE,
                headers=answered.headers,
                body=answered.body,
                seconds=answered.seconds,
            )
        self.corrections += self.picture.apply(snapshot)
        self.etag = answered.headers.get("etag", "")
        return answered

    def report(self) -> AgentAnswer:
        """A report with a new text every time."""
        line = f"package {time.time_ns()} of {self.node_id}\n"
        value = {"value": (line * REPORT_SIZE)[:REPORT_SIZE]}
        return send(self.url, "PUT", f"{self._path}/state/reports/{REPORT}", self.credential, value)

    def renew(self) -> AgentAnswer:
        """Gets the next token; the present token stays valid until it expires."""
        answered = send(self.url, "POST", f"{self._path}/token", self.credential)
        if answered.status == 200:
            self.credential = str(answered.json["token"])
        return answered

    def renews_in(self) -> float:
        """Seconds until a quarter of the token's lifetime is left; negative after that."""
        issued, expires = _lifetime(self.credential)
        return expires - (expires - issued) / 4 - time.time()

    @property
    def _path(self) -> str:
        return f"/v1/nodes/{self.node_id}"


def _lifetime(token: str) -> tuple[float, float]:
    """The moments of its issue and its expiry (Unix seconds); a secret key never expires."""
    try:
        claims = json_object(base64url(token.split(".")[1]))
        return float(claims["iat"]), float(claims["exp"])
    except (IndexError, ValueError, KeyError, TypeError):
        return 0.0, 1e12
