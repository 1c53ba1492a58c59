"""The service over HTTP, as an operator calls it: a snapshot, or a sentence that says why not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests

from server.authn.strict import base64url, json_object
from server.cli.failures import ExitCode, Failure
from server.cli.formats import duration, printable
from server.cli.snapshot_body import parse_snapshot

# By the code of the Problem: what the operator can do.
_HINTS = {
    "insufficient_relation": "give it domain-view on the Node's Domain with `plexsphere-state "
    "grant`, or use the Node's own token",
    "node_not_found": "the relation exists but the ledger has no such Node; check the id",
    "signed_event_bus_not_provisioned": "start the service with PLEXSPHERE_DSN set; "
    "`plexsphere-state receipt` shows what is missing",
    "datastore_unavailable": "Postgres is down or too slow; `plexsphere-state doctor` says more",
    "event_stream_unavailable": "NATS is down; pulls do not need it",
    "authz_unavailable": "SpiceDB is down or too slow; `plexsphere-state doctor` says more",
    "overloaded": "ask again later; `requests_refused` in the log counts such answers",
    "invalid_node_id": "give the id as a canonical lower-case UUID",
}
OPERATOR_TOKEN = "PLEXSPHERE_OPERATOR_TOKEN"
EXAMPLE_URL = "http://127.0.0.1:8080"
# The longest time without a byte of a stream, as an agent's: a keep-alive comes every 25 s.
IDLE_SECONDS = 90.0
_INTERNAL = "the service's log has the cause under the correlation id"
_STREAM_HINTS = _HINTS | {
    "insufficient_relation": "a stream is for the Node's own agent: use the Node's own token",
    "invalid_last_event_id": "--after takes the id of an event",
    "signed_event_bus_not_provisioned": "start the service with PLEXSPHERE_NATS_URL and "
    "PLEXSPHERE_EVENT_KEK set; `plexsphere-state receipt` shows what is missing",
}
_NOT_A_STREAM = "this is not the answer of an event stream: check PLEXSPHERE_URL"
_WRITE_HINTS = {"insufficient_relation": "`plexsphere-state grant` gives it a role"}
_NOT_WRITTEN = "check the options and PLEXSPHERE_URL"
_NOT_A_PULL = "this is not the answer of a pull: check PLEXSPHERE_URL"


@dataclass(frozen=True, slots=True)
class ServiceAccess:
    """The URL and the caller's token; an empty ``token`` is not sent. ``timeout`` in seconds."""

    url: str
    token: str = field(repr=False)
    timeout: float = 30.0  # as an agent's


@dataclass(frozen=True, slots=True)
class Pulled:
    """A 200: the exact bytes of the body, the body parsed, and headers."""

    body: bytes
    snapshot: dict[str, Any]
    etag: str
    correlation_id: str
    seconds: float


def pull(
    service: ServiceAccess, node_id: str, clock: Callable[[], float] = time.monotonic
) -> Pulled:
    """One snapshot: a person or a service reads it, every other caller pulls it as an agent.

    Raises Failure for every other answer than a whole snapshot.
    """
    started, shown_url = clock(), without_credentials(service.url)
    subject, _ = _subject_and_expiry(service.token)
    is_reader = subject is not None and not subject.startswith("node:")
    answer = _send(service, "GET", f"/v1/nodes/{node_id}/{'snapshot' if is_reader else 'state'}")
    seconds = clock() - started
    if answer.status_code != requests.codes.ok:
        sentence = refusal_sentence(answer.status_code, _problem(answer), service.token)
        raise Failure(f"{shown_url} answered {sentence}")
    try:
        snapshot = parse_snapshot(answer.content)
    except ValueError as error:
        raise Failure(
            f"the answer of {shown_url} {error}: check PLEXSPHERE_URL, and every proxy between "
            "this machine and the service."
        ) from error
    return Pulled(
        body=answer.content,
        snapshot=snapshot,
        etag=answer.headers.get("ETag", ""),
        correlation_id=answer.headers.get("X-Correlation-Id", ""),
        seconds=seconds,
    )


def get(service: ServiceAccess, path: str) -> requests.Response:
    """The answer, of any status. Raises Failure where there is none."""
    return _send(service, "GET", path)


def post(service: ServiceAccess, path: str, value: Mapping[str, object]) -> dict[str, Any]:
    """The JSON object of a 201. Raises Failure for every other answer."""
    answer = _send(service=service, method="POST", path=path, value=value)
    shown_url = without_credentials(service.url)
    if answer.status_code != requests.codes.created:
        sentence = refusal_sentence(
            status=answer.status_code,
            problem=_problem(answer),
            token=service.token,
            hints=_WRITE_HINTS,
            otherwise=_NOT_WRITTEN,
        )
        sentence = sentence.replace("PLEXSPHERE_TOKEN", OPERATOR_TOKEN)
        raise Failure(f"{shown_url} answered {sentence}")
    made: dict[str, Any] = answer.json()
    return made


def frames(service: ServiceAccess, node_id: str, after: str) -> Iterator[Mapping[str, str]]:
    """The frames of a Node's event stream by the names of their fields, until the stream ends.

    ``after`` is a position, or empty for from now. Raises Failure.
    """
    headers = {"Accept": "text/event-stream", "Last-Event-ID": after}
    with _answer(
        service=service,
        method="GET",
        path=f"/v1/nodes/{node_id}/events",
        headers=headers,
        stream=True,
    ) as answer:
        if answer.status_code != requests.codes.ok:
            sentence = refusal_sentence(
                status=answer.status_code,
                problem=_problem(answer),
                token=service.token,
                hints=_STREAM_HINTS,
                otherwise=_NOT_A_STREAM,
            )
            raise Failure(f"{without_credentials(service.url)} answered {sentence}")
        frame: dict[str, str] = {}
        received = b""
        # The connection may also end without an end of the answer.
        with suppress(requests.RequestException):
            for piece in answer.iter_content(None):
                *lines, received = (received + piece).split(b"\n")
                for line in lines:
                    name, _, value = line.decode().partition(": ")
                    if line:
                        frame[name] = value
                    else:
                        yield frame
                        frame = {}


def _send(
    service: ServiceAccess, method: str, path: str, value: Mapping[str, object] | None = None
) -> requests.Response:
    headers = {"Accept": "application/json"}
    with _answer(service=service, method=method, path=path, headers=headers, json=value) as answer:
        return answer


@contextmanager
def _answer(
    service: ServiceAccess, method: str, path: str, headers: Mapping[str, str], **options: Any
) -> Iterator[requests.Response]:
    host, shown_url = _host(service.url), without_credentials(service.url)
    with requests.Session() as session:
        try:
            answer = session.request(
                method,
                service.url.rstrip("/") + path,
                # As a callable, because an entry of netrc would replace a header.
                auth=_Bearer(service.token),
                headers=dict(headers),
                # A redirect would send the token to a host that the operator did not name.
                allow_redirects=False,
                timeout=IDLE_SECONDS if "stream" in options else service.timeout,
                # A proxy of the environment cannot reach the loopback of this machine.
                proxies={"no_proxy": host} if _is_loopback(host) else None,
                **options,
            )
        except requests.exceptions.SSLError as error:
            raise Failure(_tls_sentence(shown_url, error)) from error
        except requests.exceptions.Timeout as error:
            raise Failure(
                f"{shown_url} did not answer within {service.timeout:g} s: `plexsphere-state "
                "doctor` checks what it depends on."
            ) from error
        except requests.exceptions.ConnectionError as error:
            raise Failure(
                f"nothing answers at {shown_url} ({_cause(error)}): start the service, or "
                "name it with --url or PLEXSPHERE_URL."
            ) from error
        except (requests.RequestException, ValueError) as error:
            raise Failure(f"no request can be sent to {shown_url}: {printable(error)}.") from error
        yield answer


def _tls_sentence(url: str, error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            f"the certificate of {url} is not trusted: put its CA into a file and name that file "
            "in REQUESTS_CA_BUNDLE."
        )
    return f"{url} does not speak TLS: check PLEXSPHERE_URL, which may have to be http://."


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
            f"PLEXSPHERE_URL must be like {EXAMPLE_URL}, and is {without_credentials(url)}.",
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
    """The message of the operating system, which three libraries wrap."""
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


def refusal_sentence(
    status: int,
    problem: Mapping[str, Any] | None,
    token: str,
    hints: Mapping[str, str] = _HINTS,
    otherwise: str = _NOT_A_PULL,
) -> str:
    """A refusal, and what the operator can do: ``hints`` by code. ``problem`` is its body."""
    if problem is None:
        return f"{status} {_phrase(status)}: {otherwise}."
    code = problem.get("code")
    answer = f"{status} {code or _phrase(status)}: {problem.get('detail', '')}"
    answer += f" (correlation_id {problem.get('correlation_id', '-')})"
    hint = hints.get(str(code), _INTERNAL if status >= 500 else otherwise)
    if status == HTTPStatus.UNAUTHORIZED:
        hint = token_hint(token, time.time())
    elif status == HTTPStatus.FORBIDDEN:
        subject, _ = _subject_and_expiry(token)
        hint = f"the token is of {subject}; {hint}"
    return f"{answer}; {hint}."


def token_hint(token: str, now: float) -> str:
    """Subject and expiry as the token's claims say, unverified. The token is the caller's own."""
    if not token:
        return (
            "no token was sent: set PLEXSPHERE_TOKEN (`plexsphere-state token user:ann` makes one "
            "with the service's own key)"
        )
    subject, expiry = _subject_and_expiry(token)
    if subject is None or expiry is None:
        return "the token is no JWT with sub and exp: check PLEXSPHERE_TOKEN"
    if expiry <= now:
        return f"the token of {subject} expired {duration(now - expiry)} ago: get a new one"
    return (
        f"the token is of {subject} and expires in {duration(expiry - now)}: the service does not "
        "accept its key, its iss or its aud"
    )


def _subject_and_expiry(token: str) -> tuple[str | None, float | None]:
    try:
        claims = json_object(base64url(token.split(".")[1]))
        return str(claims["sub"]), float(claims["exp"])
    except (ValueError, KeyError, IndexError, TypeError):
        return None, None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"
