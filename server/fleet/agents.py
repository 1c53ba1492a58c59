"""One simulated agent: a Node's token, its heartbeats, pulls and reports, its own picture."""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from server.authn.strict import base64url, json_object
from server.fleet.picture import Picture
from server.fleet.wire import UNREADABLE, Answered, send

VERSION = "0.0.0-simulated"
# SHA-256 of the binary, in base64; plexd's own would say which build it is.
CHECKSUM = base64.b64encode(hashlib.sha256(VERSION.encode()).digest()).decode()
REPORT = "inventory"
# Of a report, so that it is sent compressed (characters, of 4,096 bytes at most).
REPORT_SIZE = 3_000


@dataclass(slots=True)
class Agent:
    """``etag`` is of the last snapshot applied; ``corrections`` how much its pulls changed."""

    url: str
    node_id: str
    domain_id: str
    token: str = field(repr=False)
    conditional: bool = False
    picture: Picture = field(default_factory=Picture)
    etag: str = ""
    corrections: int = 0

    def heartbeat(self) -> Answered:
        """That it is alive, by its own clock."""
        value = {
            "client_now": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "binary_checksum": CHECKSUM,
            "binary_version": VERSION,
            "nat_summary": {},
        }
        return send(self.url, "POST", f"{self._path}/heartbeat", self.token, value)

    def pull(self) -> Answered:
        """What the machine should look like now, applied; all but a 200 keeps what there is."""
        held = {"If-None-Match": self.etag} if self.conditional and self.etag else {}
        answered = send(self.url, "GET", f"{self._path}/state", self.token, headers=held)
        if answered.status != 200:
            return answered
        try:
            snapshot = answered.json
        except ValueError:
            return Answered(UNREADABLE, answered.headers, answered.body, answered.seconds)
        self.corrections += self.picture.apply(snapshot)
        self.etag = answered.headers.get("etag", "")
        return answered

    def report(self) -> Answered:
        """Something of its machine that is another text every time."""
        line = f"package {time.time_ns()} of {self.node_id}\n"
        value = {"value": (line * REPORT_SIZE)[:REPORT_SIZE]}
        return send(self.url, "PUT", f"{self._path}/state/reports/{REPORT}", self.token, value)

    def renew(self) -> Answered:
        """Take the next token; the one it has stays good until its own end."""
        answered = send(self.url, "POST", f"{self._path}/token", self.token)
        if answered.status == 200:
            self.token = str(answered.json["token"])
        return answered

    def renews_in(self) -> float:
        """Seconds until a quarter of its token's lifetime is left; less than 0 after that."""
        issued, expires = _lifetime(self.token)
        return expires - (expires - issued) / 4 - time.time()

    @property
    def _path(self) -> str:
        return f"/v1/nodes/{self.node_id}"


def _lifetime(token: str) -> tuple[float, float]:
    """When it was issued and when it expires (Unix seconds); an opaque one never does."""
    try:
        claims = json_object(base64url(token.split(".")[1]))
        return float(claims["iat"]), float(claims["exp"])
    except (IndexError, ValueError, KeyError, TypeError):
        return 0.0, 1e12
