"""The source of a connection or request, and the number of each that may be there at once."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Sequence
from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Sources:
    """Counts by source: the peer, or behind a proxy of ours the last hop that is none of ours."""

    def __init__(self, most: int, trusted_proxies: Sequence[Network]) -> None:
        self._most = most
        self._trusted = tuple(trusted_proxies)
        self._counts: Counter[str] = Counter()

    def is_proxy(self, address: str) -> bool:
        """Whether an address is one of a proxy whose `X-Forwarded-For` is trusted."""
        if not self._trusted:
            return False
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None)  # a listener for both families shows IPv4 so
        return any((mapped or parsed) in network for network in self._trusted)

    def enter(self, source: str) -> bool:
        """Count one more; False where there are too many already."""
        if self._counts[source] >= self._most:
            return False
        self._counts[source] += 1
        return True

    def leave(self, source: str) -> None:
        """Count one less."""
        self._counts[source] -= 1
        if not self._counts[source]:
            del self._counts[source]

    def source_of(self, peer: str, headers: Sequence[tuple[str, str]]) -> str:
        """The source of a request whose peer is a proxy of ours. Headers in capitals."""
        hops = ",".join(text for name, text in headers if name == "X-FORWARDED-FOR")
        for hop in reversed(hops.split(",")):
            if hop.strip() and not self.is_proxy(hop.strip()):
                return hop.strip()
        return peer


def address_of(client: Any) -> str:
    """The address of a peer; empty over a Unix socket."""
    return str(client[0]) if isinstance(client, tuple) else ""
