"""A Node that holds the blocks of an earlier pull and applies events to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.envelope_verifier import Verified

Blocks = dict[str, Any]


class Receiver:
    """``pull`` gives the body of a pull now, for an event that says: pull.

    ``may_repeat``: an event may be one that the body, or an earlier event, has shown already. Else
    an event about a peer that is not known is a KeyError.
    """

    def __init__(
        self, node_id: str, body: bytes, pull: Callable[[], bytes], *, may_repeat: bool = False
    ) -> None:
        self.node_id = node_id
        self._pull = pull
        self._may_repeat = may_repeat
        self.blocks: Blocks = {}
        self._replace(body)

    def apply(self, event: Verified) -> None:
        payload = event.payload
        if event.type == "resync_required" or payload == {"pull_required": True}:
            self._replace(self._pull())
        elif event.type.startswith("peer_"):
            self._apply_peer(event.type, payload)
        elif event.type == "policy_updated":
            gone = payload == {"fingerprint": "", "rules": []}
            self.blocks["policy"] = None if gone else payload
        elif event.type == "bridge_config_updated":
            is_bridge = "bridge_resource_id" in payload
            self.blocks["bridge"] = payload["effective_config"] if is_bridge else None
        elif event.type == "node_state_updated":
            self.blocks["state"] = payload
        elif event.type == "reachability_changed":
            self.blocks["reachability"] = shown_reachability(payload)
        else:
            assert event.type == "signing_key_rotated", event.type

    def _apply_peer(self, type: str, payload: Any) -> None:
        node_id = payload["node_id"]
        if node_id == self.node_id:
            return
        peers = self.blocks["peers"]
        if type == "peer_added":
            peers[node_id] = payload
        elif self._may_repeat and node_id not in peers:
            return
        elif type == "peer_removed":
            del peers[node_id]
        elif type == "peer_key_rotated":
            peers[node_id] = {**peers[node_id], "public_key": payload["public_key"]}
        else:
            assert type == "peer_endpoint_changed"
            peers[node_id] = {**peers[node_id], "fallback_endpoint": None} | payload
            if peers[node_id]["fallback_endpoint"] is None:
                del peers[node_id]["fallback_endpoint"]

    def _replace(self, body: bytes) -> None:
        self.blocks = pulled_blocks(body)


def pulled_blocks(body: bytes) -> Blocks:
    """The part of a pull that the law of events covers."""
    pulled = json.loads(body)
    assert pulled["state"] == pulled["reports"]
    return {
        "peers": {peer["node_id"]: peer for peer in pulled["peers"]},
        "policy": pulled["policy"],
        "bridge": pulled["bridge"],
        "state": {name: pulled["state"][name] for name in ("metadata", "data")},
        "reachability": shown_reachability(pulled["reachability"]),
    }


def shown_reachability(block: Any) -> Any:
    return {name: block[name] for name in ("state", "changed_at")}
