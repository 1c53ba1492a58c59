"""One simulated agent: a Node's token, its heartbeats, its pulls, its own picture."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

from server.fleet.picture import Picture
from server.fleet.wire import Answered, send

VERSION = "0.0.0-simulated"
# SHA-256 of the binary, in base64; plexd's own would say which build it is.
CHECKSUM = base64.b64encode(hashlib.sha256(VERSION.encode()).digest()).decode()


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
        return send(self.url, "POST", f"/v1/nodes/{self.node_id}/heartbeat", self.token, value)

    def pull(self) -> Answered:
        """What the machine should look like now, applied; all but a 200 keeps what there is."""
        held = {"If-None-Match": self.etag} if self.conditional and self.etag else {}
        path = f"/v1/nodes/{self.node_id}/state"
        answered = send(self.url, "GET", path, self.token, headers=held)
        if answered.status == 200:
            self.corrections += self.picture.apply(answered.json)
            self.etag = answered.headers.get("etag", "")
        return answered
