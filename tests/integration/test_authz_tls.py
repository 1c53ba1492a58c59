"""TLS to SpiceDB: the CA of the settings is the one that counts, and the key travels inside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from authzed.api.v1 import CheckPermissionResponse
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from server.authz.admin import SpiceDbAdmin
from server.authz.channel import SpiceDbChannel
from server.authz.endpoint import SpiceDbEndpoint, check_endpoint

HOST = "localhost"
PEM = serialization.Encoding.PEM


def certificate_and_key() -> tuple[bytes, bytes]:
    """Self-signed for ``localhost``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "spicedb.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(PEM), private


class Yes(grpc.GenericRpcHandler):
    """Allows everything to whoever brings the key."""

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        allowed = ("authorization", "Bearer key") in list(call.invocation_metadata)

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            if not allowed:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "no key")
            yes = CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION
            return CheckPermissionResponse(permissionship=yes).SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A TLS server: its address and the file of its CA."""
    certificate, key = certificate_and_key()
    (tmp_path / "ca.pem").write_bytes(certificate)
    server = grpc.server(ThreadPoolExecutor(2), handlers=[Yes()])
    port = server.add_secure_port(f"{HOST}:0", grpc.ssl_server_credentials([(key, certificate)]))
    server.start()
    yield f"{HOST}:{port}", tmp_path / "ca.pem"
    server.stop(None)


def ping(endpoint: SpiceDbEndpoint) -> None:
    assert check_endpoint(endpoint) == []
    channel = SpiceDbChannel(endpoint, timeout=5)
    try:
        SpiceDbAdmin(channel).ping(Deadline.after(5, time.monotonic))
    finally:
        channel.close()


def test_a_server_of_the_named_ca_is_trusted_with_the_key(served: tuple[str, Path]) -> None:
    address, ca = served
    ping(SpiceDbEndpoint(address, "key", ca=ca))
    with pytest.raises(AuthzUnavailable, match="UNAUTHENTICATED"):
        ping(SpiceDbEndpoint(address, "other", ca=ca))


def test_a_server_of_another_ca_is_not_spoken_to(served: tuple[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(certificate_and_key()[0])
    for ca in (other, None):
        with pytest.raises(AuthzUnavailable, match="not signed by PLEXSPHERE_SPICEDB_CA"):
            ping(SpiceDbEndpoint(served[0], "key", ca=ca))


def test_a_server_without_tls_is_not_spoken_to(tmp_path: Path) -> None:
    server = grpc.server(ThreadPoolExecutor(2), handlers=[Yes()])
    port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    try:
        with pytest.raises(AuthzUnavailable, match="PLEXSPHERE_SPICEDB_INSECURE=1"):
            ping(SpiceDbEndpoint(f"{HOST}:{port}", "key"))
        ping(SpiceDbEndpoint(f"{HOST}:{port}", "key", insecure=True))
    finally:
        server.stop(None)


def test_without_tls_nothing_leaves_this_machine() -> None:
    """The boot refuses such a setting; so does the channel, whoever wired it."""
    channel = SpiceDbChannel(SpiceDbEndpoint("192.0.2.1:50051", "key", insecure=True), timeout=1)
    with pytest.raises(AuthzUnavailable, match=r"needs TLS|AuthzUnavailable"):
        SpiceDbAdmin(channel).ping(Deadline.after(1, time.monotonic))
