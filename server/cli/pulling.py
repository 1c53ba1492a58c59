"""The reconciliation pull over HTTP, as an operator makes it: the body, or one clear sentence."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests

from server.cli.bodies import parse_snapshot
from server.cli.failures import ExitCode, Failure
from server.cli.options import DEFAULT_URL
from server.cli.problems import refusal_sentence
from server.cli.text import printable


@dataclass(frozen=True, slots=True)
class Service:
    """Where the service is and who asks; an empty ``token`` is sent as none. Times in seconds."""

    url: str
    token: str = field(repr=False)
    timeout: float = 30.0  # an agent's


@dataclass(frozen=True, slots=True)
class Pulled:
    """A 200: the exact bytes of the body, and what came with them."""

    body: bytes
    snapshot: dict[str, Any]
    etag: str
    correlation_id: str
    seconds: float


def pull(service: Service, node_id: str, clock: Callable[[], float] = time.monotonic) -> Pulled:
    """One pull. Raises Failure for whatever is not a whole snapshot."""
    started, shown = clock(), without_credentials(service.url)
    answer = _get(service, f"/v1/nodes/{node_id}/state")
    seconds = clock() - started
    if answer.status_code != requests.codes.ok:
        sentence = refusal_sentence(answer.status_code, _problem(answer), service.token)
        raise Failure(f"{shown} answered {sentence}")
    try:
        snapshot = parse_snapshot(answer.content)
    except ValueError as error:
        raise Failure(
            f"what {shown} answered {error}: look at PLEXSPHERE_URL, and at what stands between "
            "here and the service."
        ) from error
    return Pulled(
        answer.content,
        snapshot,
        answer.headers.get("ETag", ""),
        answer.headers.get("X-Correlation-Id", ""),
        seconds,
    )


def _get(service: Service, path: str) -> requests.Response:
    host, shown = _host(service.url), without_credentials(service.url)
    with requests.Session() as session:
        # A proxy of the environment cannot reach our loopback.
        session.trust_env = not _is_loopback(host)
        try:
            return session.get(
                service.url.rstrip("/") + path,
                # As a callable, because a netrc entry would replace a plain header.
                auth=_Bearer(service.token),
                headers={"Accept": "application/json"},
                # A redirect would carry the token to where nobody sent it.
                allow_redirects=False,
                timeout=service.timeout,
            )
        except requests.exceptions.SSLError as error:
            raise Failure(_tls_sentence(shown, error)) from error
        except requests.exceptions.Timeout as error:
            raise Failure(
                f"{shown} did not answer within {service.timeout:g} s: `plexsphere-state "
                "doctor` looks at what it depends on."
            ) from error
        except requests.exceptions.ConnectionError as error:
            raise Failure(
                f"nothing answers at {shown} ({_cause(error)}): start the service, or set "
                "PLEXSPHERE_URL."
            ) from error
        except (requests.RequestException, ValueError) as error:
            raise Failure(f"{shown} cannot be asked: {printable(error)}.") from error


def _tls_sentence(url: str, error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            f"the certificate of {url} is not trusted: put its CA into a file and name that file "
            "in REQUESTS_CA_BUNDLE."
        )
    return f"{url} does not speak TLS: look at PLEXSPHERE_URL, it may be meant to be http://."


class _Bearer(requests.auth.AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise Failure(
            f"PLEXSPHERE_URL is to be like {DEFAULT_URL}, and is {without_credentials(url)}.",
            ExitCode.USAGE,
        )
    return host


def without_credentials(url: str) -> str:
    """The URL as it may be printed."""
    scheme, separator, rest = url.rpartition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _cause(error: BaseException) -> str:
    """The operating system's words, from under three libraries' wrappings."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return getattr(error, "strerror", None) or type(error).__name__


def _problem(answer: requests.Response) -> dict[str, Any] | None:
    if answer.headers.get("Content-Type", "").partition(";")[0] != "application/problem+json":
        return None
    try:
        value = answer.json()
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
