"""A JWKS behind a real URL: redirects, sizes, slow and broken servers, TLS."""

import contextlib
import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server.authn.key_documents import DocumentError
from server.authn.key_sources import url_keys
from server.authn.keys import NO_KEYS
from server.authn.url_document import UrlDocument
from server.replaced_files import replace_file
from tests.tokens import ed25519_key, jwks, token, verifier

KEY = ed25519_key()
Answer = Callable[[BaseHTTPRequestHandler], None]


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    with contextlib.suppress(OSError):
        handler.wfile.write(body)


@contextlib.contextmanager
def serving(answer: Answer, certificate: Path | None = None) -> Iterator[str]:
    """A server on loopback; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_port}/jwks.json"
    finally:
        server.shutdown()
        server.server_close()


def self_signed(path: Path) -> Path:
    """A certificate for 127.0.0.1 with its key, as one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keys.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(pem) + private)
    return path


def test_a_token_is_verified_with_keys_from_a_url() -> None:
    with serving(lambda handler: send(handler, jwks(KEY))) as url:
        over_url = verifier(url_keys(url))
        assert over_url.principal([f"Bearer {token(KEY)}"]) is not None
        assert over_url.principal([f"Bearer {token(ed25519_key('other'))}"]) is None


def test_keys_are_fetched_over_tls_that_is_verified(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path / "server.pem")
    with serving(lambda handler: send(handler, jwks(KEY)), certificate) as url:
        assert UrlDocument(url, ca=certificate).read() == jwks(KEY)
        with pytest.raises(DocumentError, match="SSLError"):
            UrlDocument(url).read()


def test_the_environment_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy or CA bundle of the shell must not change whom keys are taken from."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with serving(lambda handler: send(handler, jwks(KEY))) as url:
        assert UrlDocument(url).read() == jwks(KEY)


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * 65536)


def drip_head(handler: BaseHTTPRequestHandler) -> None:
    """Each byte is in time for a timeout of the library, and the head never ends."""
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drop: ")
        for _ in range(300):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.1)


BAD_ANSWERS: dict[str, Answer] = {
    "an error": lambda handler: send(handler, jwks(KEY), 500),
    "not found": lambda handler: send(handler, jwks(KEY), 404),
    "no content": lambda handler: send(handler, b"", 204),
    "a redirect": lambda handler: send(handler, b"", 302, Location="http://127.0.0.1:9/"),
    "a redirect to a file": lambda handler: send(handler, b"", 302, Location="file:///etc/passwd"),
    "compressed": lambda handler: send(
        handler, gzip.compress(jwks(KEY)), 200, Content_Encoding="gzip"
    ),
    "a bomb": lambda handler: send(
        handler, gzip.compress(bytes(100 << 20)), 200, Content_Encoding="gzip"
    ),
    "too large": lambda handler: send(handler, b" " * 300_000),
    "endless": endless,
    "drop by drop": drip,
    "a head drop by drop": drip_head,
    "silence": lambda handler: time.sleep(2),
    "a hang-up": lambda handler: handler.connection.close(),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_bad_answer_is_no_key_set(name: str) -> None:
    with serving(BAD_ANSWERS[name]) as url:
        document = UrlDocument(url, timeout_s=0.4, total_s=0.8)
        with pytest.raises(DocumentError):
            document.read()


def test_a_drip_is_cut_at_the_deadline() -> None:
    with serving(drip_head) as url:
        begun = time.monotonic()
        with pytest.raises(DocumentError):
            UrlDocument(url, timeout_s=0.4, total_s=0.8).read()
        # 300 drops take 30 s.
        assert time.monotonic() - begun < 15


def test_the_last_good_set_is_kept_for_a_start_without_the_url(tmp_path: Path) -> None:
    kept_in = tmp_path / "jwks.json"
    with serving(lambda handler: send(handler, jwks(KEY))) as url:
        assert url_keys(url, kept_in=kept_in).current().by_kid
    assert kept_in.stat().st_mode & 0o777 == 0o600
    restarted = url_keys(url, kept_in=kept_in)
    assert restarted.current().by_kid
    assert restarted.failures() == 1


@pytest.mark.parametrize("fault", ["readable by others", "torn", "a link"])
def test_a_kept_set_that_others_could_write_or_that_is_torn_is_not_used(
    tmp_path: Path, fault: str
) -> None:
    kept_in, lines = tmp_path / "jwks.json", list[str]()
    replace_file(kept_in, jwks(KEY)[:-9] if fault == "torn" else jwks(KEY))
    if fault == "readable by others":
        kept_in.chmod(0o644)
    elif fault == "a link":
        kept_in.rename(tmp_path / "other.json")
        kept_in.symlink_to(tmp_path / "other.json")
    with serving(lambda handler: None) as url:
        pass
    assert url_keys(url, kept_in=kept_in, on_warning=lines.append).current() is NO_KEYS
    assert any(line.startswith("the kept key set is not used") for line in lines)


def test_nobody_there_is_no_key_set_and_the_detail_names_no_url() -> None:
    with serving(lambda handler: None) as url:
        pass
    keys = url_keys(url)
    assert keys.current().by_kid == {}
    ok, detail = keys.describe()
    assert (ok, detail) == (False, "no keys: ConnectionError")
