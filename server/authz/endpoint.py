"""``PLEXSPHERE_SPICEDB_*`` as one value: the address of SpiceDB, its key and its TLS."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from db.dsn import is_on_this_machine

# A gRPC metadata value: any other text would make every call fail in the client.
_PRESHARED_KEY = re.compile(r"[\x21-\x7e]{1,4096}", re.ASCII)
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+):([0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class SpiceDbEndpoint:
    """``address`` is ``host:port``; ``ca`` a PEM file, None for the roots of gRPC.

    ``insecure`` means no TLS and is for loopback only.
    """

    address: str
    preshared_key: str = field(repr=False)
    ca: Path | None = None
    insecure: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether calls stay on this machine; by name only ``localhost`` counts."""
        return is_on_this_machine(self.address.rpartition(":")[0].strip("[]"))


def check_endpoint(endpoint: SpiceDbEndpoint) -> list[str]:
    """The faults of the settings; each sentence begins with the field that is wrong."""
    complaints = []
    match = _HOST_PORT.fullmatch(endpoint.address)
    if match is None or not 0 < int(match[2]) < 65536:
        complaints.append("endpoint: expected host:port, such as 127.0.0.1:50051")
    elif endpoint.insecure and not endpoint.is_loopback:
        complaints.append("insecure: only for an endpoint on loopback; others need TLS")
    if not _PRESHARED_KEY.fullmatch(endpoint.preshared_key):
        complaints.append("token: expected the preshared key, printable ASCII without spaces")
    if endpoint.insecure and endpoint.ca is not None:
        complaints.append("ca: has no meaning beside insecure")
    elif endpoint.ca is not None and not _holds_certificates(endpoint.ca):
        complaints.append("ca: expected a readable PEM file with at least one certificate")
    return complaints


def _holds_certificates(path: Path) -> bool:
    try:
        return path.is_file() and b"-----BEGIN CERTIFICATE-----" in path.read_bytes()
    except OSError:
        return False
