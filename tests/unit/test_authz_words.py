"""A call to SpiceDB that failed is told in words of ours."""

from __future__ import annotations

import grpc
import pytest

from server.authz.channel import error_of

ALL = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "


@pytest.mark.parametrize(
    ("details", "meaning"),
    [
        ("Failed to connect to remote host: Connection refused", "nothing listens there"),
        ("Cannot check peer: missing selected ALPN property.", "does not speak gRPC"),
        ("Failed parsing HTTP/2 (Expected SETTINGS frame as the first)", "does not speak gRPC"),
        ("connection attempt timed out before receiving SETTINGS frame", "does not answer"),
        ("recvmsg:Connection reset by peer (104)", "perhaps it demands TLS"),
        ("Handshake read failed (Socket closed)", "it ends the connection"),
        ("Failed to create security handshaker.", "PLEXSPHERE_SPICEDB_CA has no certificate"),
        ("error:1000:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER", "no TLS there"),
    ],
)
def test_the_words_of_grpc_are_translated(details: str, meaning: str) -> None:
    told = str(error_of(grpc.StatusCode.UNAVAILABLE, ALL + details))
    assert meaning in told and "all addresses" not in told


def test_a_refused_key_names_its_setting() -> None:
    told = str(error_of(grpc.StatusCode.UNAUTHENTICATED, "invalid preshared key: k"))
    assert told == "SpiceDB: UNAUTHENTICATED: it refuses PLEXSPHERE_SPICEDB_TOKEN"
