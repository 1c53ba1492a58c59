"""The service in each state a declared status needs: as it is, bare, busy, without a part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from server.dev.ports import HOST
from server.dev.stack import Stack
from tests.client import ask, bearer, pull_path
from tests.fuzz import directed as cases
from tests.fuzz.directed_writes import CROWDED, RATE_LIMITED
from tests.fuzz.world import STRANGER
from tests.ledger_sql import run_sql
from tests.small_gunicorn import small_gunicorn
from tests.stacks import another_build

FAULTY_APPLICATION = "tests.fuzz.faulty_wsgi:application"
CORRUPT_POLICY = "0190ffff-0000-7000-8000-0000000000aa"


@contextmanager
def live(stack: Stack, node_id: str) -> Iterator[str]:
    yield stack.url


@contextmanager
def unprovisioned(stack: Stack, node_id: str) -> Iterator[str]:
    """With an empty DSN."""
    part = stack.extra_gunicorn("unprovisioned", {"PLEXSPHERE_DSN": ""})
    try:
        yield part.url
    finally:
        part.stop()


@contextmanager
def rate_limited(stack: Stack, node_id: str) -> Iterator[str]:
    """With the lowest rates that there are, of which the stranger has had its one refusal."""
    rates = ("PLEXSPHERE_ENROLMENTS_PER_MINUTE", "PLEXSPHERE_REFUSALS_PER_MINUTE")
    part = stack.extra_gunicorn("rate-limited", dict.fromkeys(rates, "1"))
    try:
        ask(part.url, pull_path(node_id), bearer(stack.token(STRANGER)))
        yield part.url
    finally:
        part.stop()


@contextmanager
def crowded(stack: Stack, node_id: str) -> Iterator[str]:
    """With Domains that have as many Nodes as they may have."""
    part = stack.extra_gunicorn("crowded", {"PLEXSPHERE_NODE_QUOTA": "1"})
    try:
        yield part.url
    finally:
        part.stop()


@contextmanager
def without_keys(stack: Stack, node_id: str) -> Iterator[str]:
    """With a key set that cannot be had."""
    settings = {"PLEXSPHERE_JWKS": f"http://{HOST}:1/jwks.json"}
    part = stack.extra_gunicorn("without-keys", settings)
    try:
        yield part.url
    finally:
        part.stop()


@contextmanager
def faulty(stack: Stack, node_id: str) -> Iterator[str]:
    """The test build of faulty_wsgi.py."""
    with another_build(stack, "faulty", FAULTY_APPLICATION, {"PLEXSPHERE_WORKERS": "1"}) as url:
        yield url


@contextmanager
def without(name: str, stack: Stack, node_id: str) -> Iterator[str]:
    """One dependency stopped, and started again behind."""
    stack.parts[name].stop()
    try:
        yield stack.url
    finally:
        stack.parts[name].start()


@contextmanager
def corrupt(stack: Stack, node_id: str) -> Iterator[str]:
    """A rule set row of the Node against its fingerprint."""
    run_sql(
        stack.dsn,
        "INSERT INTO plexsphere.policy_compiled_ruleset"
        " (node_id, policy_id, revision_id, rule_payload, fingerprint)"
        " VALUES (%s, %s, gen_random_uuid(), '', 'wrong')",
        (node_id, CORRUPT_POLICY),
    )
    try:
        yield stack.url
    finally:
        run_sql(
            stack.dsn,
            "DELETE FROM plexsphere.policy_compiled_ruleset WHERE policy_id = %s",
            (CORRUPT_POLICY,),
        )


@contextmanager
def overloaded(stack: Stack, node_id: str) -> Iterator[str]:
    """The real worker, whose source of requests has as many under way as it may have.

    The worker refuses before it calls its application, so that a small one is enough.
    """
    folder = stack.places.gunicorn / "overloaded"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"SOURCE_CONNECTIONS": "1", "TRUSTED_PROXIES": "127.0.0.0/8"}
    with small_gunicorn(folder, settings) as served, served.connect() as client:
        client.sendall(b"GET /v1/nodes/wait HTTP/1.1\r\nHost: x\r\n\r\n")
        ask(served.url, "/waiting/1")
        yield served.url
        ask(served.url, "/go")


SERVICES: Mapping[str, Callable[[Stack, str], AbstractContextManager[str]]] = {
    cases.LIVE: live,
    cases.UNPROVISIONED: unprovisioned,
    RATE_LIMITED: rate_limited,
    CROWDED: crowded,
    cases.NO_KEYS: without_keys,
    cases.FAULTY: faulty,
    cases.CORRUPT: corrupt,
    cases.NO_POSTGRES: partial(without, "postgres"),
    cases.NO_SPICEDB: partial(without, "spicedb"),
    cases.NO_NATS: partial(without, "nats"),
    cases.OVERLOADED: overloaded,
}
