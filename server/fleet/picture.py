"""What an agent has made of the snapshots it applied: its own picture of its machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Value = Mapping[str, Any]


class Picture:
    """Applied by differences, as plexd reconciles; a missing peer is a removal."""

    def __init__(self) -> None:
        self._peers: dict[str, Value] = {}
        self._whole: dict[str, Any] = {}
        # By block and bucket; each block is held as it came, whatever the other one says.
        self._entries: dict[str, dict[str, dict[str, Value]]] = {"state": {}, "reports": {}}

    def apply(self, snapshot: Value) -> int:
        """Take a whole snapshot over; how many things had to be changed."""
        corrections = _reconcile(self._peers, snapshot["peers"], "node_id")
        for name in ("policy", "bridge"):
            if name not in self._whole or self._whole[name] != snapshot[name]:
                self._whole[name] = snapshot[name]
                corrections += 1
        for block, held in self._entries.items():
            for bucket in held.keys() - snapshot[block].keys():
                corrections += len(held.pop(bucket))
            for bucket, entries in snapshot[block].items():
                corrections += _reconcile(held.setdefault(bucket, {}), entries, "key")
        return corrections

    @property
    def desired_state(self) -> Value:
        """As the six-key envelope spells it, without ``reachability``: that is no desired state."""
        entries = {
            block: {bucket: _sorted(one) for bucket, one in held.items()}
            for block, held in self._entries.items()
        }
        return {"peers": _sorted(self._peers), **self._whole, **entries}


def _reconcile(held: dict[str, Value], wanted: Sequence[Value], key: str) -> int:
    by_key = {str(one[key]): one for one in wanted}
    stale = [name for name in held if name not in by_key]
    changed = {name: one for name, one in by_key.items() if held.get(name) != one}
    for name in stale:
        del held[name]
    held.update(changed)
    return len(stale) + len(changed)


def _sorted(held: Mapping[str, Value]) -> list[Value]:
    return [held[name] for name in sorted(held)]
