"""The operations about the service itself: health, version, metrics, contract, keys, docs page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from composer.deadline import Deadline
from handlers.answers import Answer, Call

ASSET_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}
# The page may load scripts, styles and data only from this host, and must not be in a frame.
PAGE_HEADERS: Mapping[str, str] = {
    **ASSET_HEADERS,
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}
# The commit and its time where the release does not name them.
UNKNOWN = "unknown"
CONTRACT_HEADERS: Mapping[str, str] = {"Vary": "Accept"}
KEYS_HEADERS: Mapping[str, str] = {"Cache-Control": "public, max-age=300"}


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One dependency; ``status`` is ok, degraded or down. ``detail`` is public."""

    name: str
    status: str
    detail: str


class HealthProbe(Protocol):
    """Checks the dependencies."""

    def checks(self, deadline: Deadline) -> Sequence[HealthCheck]:
        """One check for each dependency, within the Deadline. Never raises."""
        ...


class MetricsSource(Protocol):
    """Exposes the metrics of all workers, and the gauges that are read from the ledger."""

    def exposition(self, deadline: Deadline) -> tuple[bytes, str]:
        """Body and media type, in Prometheus' text format; never raises."""
        ...


class PublishedKeys(Protocol):
    """The public keys of the service's signing keys."""

    def jwks(self) -> Mapping[str, object]:
        """A JWK Set (RFC 7517); the key that signs is first. Empty without a signing key.

        Raises SigningUnavailable where the keys cannot be read. No private part is in it.
        """
        ...


class NoPublishedKeys:
    """The keys of a service without a signing key."""

    def jwks(self) -> Mapping[str, object]:
        """An empty JWK Set."""
        return {"keys": []}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the docs page; ``tag`` is a digest of its bytes."""

    body: bytes
    media_type: str
    tag: str


@dataclass(frozen=True, slots=True)
class DocsPage:
    """The docs page and the two files that it loads."""

    html: bytes
    script: Asset
    style: Asset


@dataclass(frozen=True, slots=True)
class ServicePorts:
    """The ports and facts of the operations about the service."""

    health: HealthProbe
    metrics: MetricsSource
    contract: bytes
    contract_document: Mapping[str, Any]
    docs_page: DocsPage
    version: str
    contract_version: str
    commit: str
    date: str
    keys: PublishedKeys = field(default_factory=NoPublishedKeys)


def get_livez(ports: ServicePorts, call: Call) -> Answer:
    """200 as long as the process answers."""
    return Answer(200, {"status": "ok", "checks": []})


def get_readyz(ports: ServicePorts, call: Call) -> Answer:
    """200 when every dependency of the pull works, else 503 with the same body."""
    return _health(ports, call)


def get_health(ports: ServicePorts, call: Call) -> Answer:
    """The same answer as ``get_readyz``, at another path."""
    return _health(ports, call)


def get_version(ports: ServicePorts, call: Call) -> Answer:
    """The versions of the release and the contract, and the commit of the release."""
    value = {
        "name": "plexsphere-state",
        "version": ports.version,
        "contract_version": ports.contract_version,
        "commit": ports.commit,
        "date": ports.date,
    }
    return Answer(200, value)


def get_metrics(ports: ServicePorts, call: Call) -> Answer:
    """Counters, histograms and gauges."""
    body, media_type = ports.metrics.exposition(call.deadline)
    return Answer(200, body, media_type=media_type)


def get_jwks(ports: ServicePorts, call: Call) -> Answer:
    """The keys that verify the tokens of this service."""
    return Answer(200, ports.keys.jwks())


def get_openapi(ports: ServicePorts, call: Call) -> Answer:
    """The contract, byte for byte the file that the service runs on."""
    media_type = call.preferred(("application/yaml", "text/plain"))
    return Answer(200, ports.contract, media_type=media_type)


def get_openapi_json(ports: ServicePorts, call: Call) -> Answer:
    """The document of the contract, as JSON."""
    return Answer(200, ports.contract_document)


def get_docs(ports: ServicePorts, call: Call) -> Answer:
    """The docs page."""
    return Answer(200, ports.docs_page.html, media_type="text/html; charset=utf-8")


def get_docs_script(ports: ServicePorts, call: Call) -> Answer:
    """The script of the docs page."""
    return _asset(ports.docs_page.script, call)


def get_docs_style(ports: ServicePorts, call: Call) -> Answer:
    """The style sheet of the docs page."""
    return _asset(ports.docs_page.style, call)


def _asset(asset: Asset, call: Call) -> Answer:
    headers = {"ETag": f'"{asset.tag}"'}
    if call.matches(asset.tag):
        return Answer(304, media_type=None, headers=headers)
    return Answer(200, asset.body, media_type=asset.media_type, headers=headers)


def _health(ports: ServicePorts, call: Call) -> Answer:
    checks = ports.health.checks(call.deadline)
    statuses = {check.status for check in checks}
    status = next((word for word in ("down", "degraded") if word in statuses), "ok")
    body = {
        "status": status,
        "checks": [
            {"name": check.name, "status": check.status, "detail": check.detail} for check in checks
        ],
    }
    return Answer(503 if status == "down" else 200, body)
