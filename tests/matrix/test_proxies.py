"""The examples of nginx and Caddy, as they are shipped, before the real service. Part of
`make matrix`.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deploy.lint_deploy.lint import PACKAGES, debian
from server.dev.ports import HOST, free_ports
from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests import scratch
from tests.client import Reply, ask, bearer, pull_path
from tests.command_runs import run
from tests.e2e.browser.headless import run_script
from tests.event_client import held_stream
from tests.keys_of_tls import certificate_for_loopback
from tests.stacks import running_stack
from tests.waiting import until

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PATH = "/mesh"
REFUSALS = 3
SETTINGS = {
    "PLEXSPHERE_TRUSTED_PROXIES": f"{HOST}/32",
    "PLEXSPHERE_REFUSALS_PER_MINUTE": str(REFUSALS),
}
KINDS = {
    "nginx": ("https", ""),
    "nginx that compresses": ("https", ""),
    "nginx below a path": ("http", PATH),
    "Caddy": ("https", ""),
    "Caddy below a path": ("http", PATH),
}
NGINX = """\
user root; daemon off; pid {folder}/pid; error_log {folder}/log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {text}
}}
"""


@dataclass(frozen=True)
class Proxy:
    """A running proxy: the URL of the service behind it."""

    url: str
    trust: ssl.SSLContext
    stack: Stack

    def connect(self, source: str = HOST) -> http.client.HTTPConnection:
        """A connection from an address of this machine."""
        target = urlsplit(self.url)
        assert target.hostname
        where = {"port": target.port, "timeout": 20, "source_address": (source, 0)}
        if target.scheme == "https":
            return http.client.HTTPSConnection(target.hostname, **where, context=self.trust)
        return http.client.HTTPConnection(target.hostname, **where)

    def ask(
        self,
        path: str,
        token: str = "",
        method: str = "GET",
        body: bytes | None = None,
        connection: http.client.HTTPConnection | None = None,
        **headers: str,
    ) -> Reply:
        """A request below the proxy's path."""
        made = connection or self.connect()
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        made.request(method, urlsplit(self.url).path + path, body, {**bearer(token), **named})
        response = made.getresponse()
        found = {name.lower(): text for name, text in response.getheaders()}
        return Reply(response.status, found, response.read())


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack("proxied", nodes=64, workers=1, nats=True, relay=True) as made:
        yield made


@pytest.fixture(scope="module", params=KINDS)
def proxy(
    request: pytest.FixtureRequest, stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    kind: str = request.param
    folder = tmp_path_factory.mktemp("proxy")
    scheme, prefix = KINDS[kind]
    service = stack.extra_gunicorn(
        re.sub(r"\W", "-", kind), {**SETTINGS, "PLEXSPHERE_PATH_PREFIX": prefix}
    )
    (port,) = free_ports(1)
    certificate = certificate_for_loopback(folder)
    command = (caddy if kind.startswith("Caddy") else nginx)(
        kind, folder, port, service.url.removeprefix("http://"), certificate
    )
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    made = Proxy(f"{scheme}://{HOST}:{port}{prefix}", trust, stack)

    def answers() -> bool:
        try:
            return made.ask("/livez").status == 200
        except OSError:
            return False

    with pytest.MonkeyPatch.context() as patched:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):  # of the commands
            patched.setenv(name, str(certificate[0]))
        until(answers, "the proxy", 20)
        yield made
    process.terminate()
    process.wait(20)
    service.stop()


def nginx(kind: str, folder: Path, port: int, service: str, tls: tuple[Path, Path]) -> list[str]:
    """The command of nginx with the example."""
    text = (DEPLOY / "nginx" / "plexsphere-state.conf").read_text()
    text = re.sub(r"server 10[^;]+;", f"server {service};", text, count=1)
    text = re.sub(r"server 10[^;]+;", "", text)
    if kind.endswith("below a path"):
        include = DEPLOY / "nginx" / "below-a-path.conf"
        upstream = text[: text.index("\nserver {")]
        text = f"{upstream}\nserver {{ listen {HOST}:{port}; include {include}; }}"
    else:
        text = text.replace("listen 443 ssl", f"listen {HOST}:{port} ssl")
        text = text.replace("listen [::]:443 ssl;", "")
        text = re.sub(r"(ssl_certificate) [^;]+;", rf"\1 {tls[0]};", text)
        text = re.sub(r"(ssl_certificate_key) [^;]+;", rf"\1 {tls[1]};", text)
    if kind.endswith("compresses"):
        text = text.replace("gzip off;", "gzip on; gzip_types *; gzip_proxied any;")
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, text=text))
    return [str(debian("nginx", "usr/sbin/nginx")), "-p", str(folder), "-c", str(file)]


def caddy(kind: str, folder: Path, port: int, service: str, tls: tuple[Path, Path]) -> list[str]:
    """The command of Caddy with the example."""
    below = kind.endswith("below a path")
    name = "below-a-path.Caddyfile" if below else "Caddyfile"
    text = (DEPLOY / "caddy" / name).read_text()
    text = text.replace("10.0.0.11:8080 10.0.0.12:8080", service)
    site = (
        f"http://{HOST}:{port} {{"
        if below
        else f"https://{HOST}:{port} {{\n\ttls {tls[0]} {tls[1]}"
    )
    text = text.replace("state.example {", site)
    file = folder / "Caddyfile"
    file.write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{text}")
    return [str(PACKAGES / "bin" / "caddy"), "run", "--config", str(file), "--adapter", "caddyfile"]


def test_pulls_are_those_of_the_service_and_share_a_connection(proxy: Proxy) -> None:
    stack, connection = proxy.stack, proxy.connect()
    path, token = pull_path(stack.node_id), stack.token()
    direct = ask(stack.url, path, stack.headers)
    first = proxy.ask(path, token, connection=connection)
    held = connection.sock
    assert (first.status, first.body, first.headers["etag"]) == (
        200,
        direct.body,
        direct.headers["etag"],
    )
    for _ in range(3):
        assert proxy.ask(path, token, connection=connection).body == direct.body
    assert connection.sock is held


@pytest.mark.parametrize("accepted", ["identity", "gzip"])
def test_an_etag_gets_its_304(proxy: Proxy, accepted: str) -> None:
    path, token = pull_path(proxy.stack.node_id), proxy.stack.token()
    first = proxy.ask(path, token, Accept_Encoding=accepted)
    again = proxy.ask(path, token, Accept_Encoding=accepted, If_None_Match=first.headers["etag"])
    assert (first.status, again.status, again.body) == (200, 304, b"")


def test_a_location_leads_to_the_object(proxy: Proxy) -> None:
    manager = proxy.stack.token(OPERATOR)
    domain = {"name": "Proxied", "slug": "proxied", "mesh_cidr": "10.77.0.0/16"}
    json_body = {"Content_Type": "application/json"}
    made = proxy.ask("/v1/domains", manager, "POST", json.dumps(domain).encode(), **json_body)
    assert made.status == 201, made.body
    location, prefix = made.headers["location"], urlsplit(proxy.url).path
    assert location.startswith(f"{prefix}/v1/domains/")
    found = proxy.ask(location.removeprefix(prefix), manager)
    assert found.json["slug"] == "proxied"
    assert proxy.ask(location.removeprefix(prefix), manager, "DELETE").status == 204


def test_an_event_arrives_at_once(proxy: Proxy) -> None:
    stack = proxy.stack
    tls = proxy.trust if proxy.url.startswith("https") else None
    with held_stream(proxy.url, stack.node_id, stack.headers, tls=tls) as client:
        assert client.status == 200
        client.opening()
        path = f"/v1/domains/{stack.sample.domain_id}/nodes"
        assert scratch.post(stack, path, "RegisterNode").status == 201
        assert client.event("peer_added").data


def test_a_large_body_is_refused_by_the_service(proxy: Proxy) -> None:
    token = proxy.stack.token(OPERATOR)
    kind = {"Content_Type": "application/json"}
    refused = proxy.ask("/v1/domains", token, "POST", b" " * 500_000, **kind)
    assert (refused.status, refused.json["code"]) == (413, "request_body_too_large")


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/readyz", "/metrics?x", "/%6detrics", "//metrics", "/x/../metrics", "/./readyz"],
)
def test_what_is_for_the_inside_stays_there(proxy: Proxy, path: str) -> None:
    reply = proxy.ask(path)
    assert reply.status >= 400 and b"plexsphere_http" not in reply.body
    assert b'"checks"' not in reply.body


def test_a_refused_caller_is_limited_by_its_own_address(proxy: Proxy) -> None:
    stack = proxy.stack
    path, stranger = pull_path(stack.node_id), stack.token(f"node:{scratch.node(stack)}")

    def status(source: str, **headers: str) -> int:
        return proxy.ask(path, stranger, connection=proxy.connect(source), **headers).status

    assert [status("127.0.0.2") for _ in range(REFUSALS + 1)] == [403] * REFUSALS + [429]
    assert status("127.0.0.2", X_Forwarded_For="192.0.2.1") == 429
    assert status("127.0.0.3") == 403


def test_commands_ask_through_the_proxy(proxy: Proxy) -> None:
    stack = proxy.stack
    done = run(
        "snapshot", stack.node_id, "--raw", "--url", proxy.url, PLEXSPHERE_TOKEN=stack.token()
    )
    assert done.exit_code == 0, done.output
    assert done.stdout_bytes == ask(stack.url, pull_path(stack.node_id), stack.headers).body


# Those without TLS: a browser does not trust the certificate of the others.
@pytest.mark.parametrize("proxy", [kind for kind in KINDS if KINDS[kind][1]], indirect=True)
@pytest.mark.timeout(600)
def test_the_docs_page_stays_below_the_path(proxy: Proxy) -> None:
    target = urlsplit(proxy.url)
    url = f"http://{target.netloc}"
    values = {"url": url, "token": proxy.stack.token(), "prefix": target.path}
    seen = run_script("prefix.mjs", values, 300)
    assert (seen["status"], seen["errors"]) == (200, [])
    strangers = [
        sent for sent in seen["requests"] if not sent.startswith((f"{proxy.url}/", "data:"))
    ]
    assert (len(seen["requests"]) > 1, strangers) == (True, [])
