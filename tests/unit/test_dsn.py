"""A DSN that cannot mean what its author wrote is refused, and never quoted."""

from __future__ import annotations

import pytest
from psycopg2.extensions import parse_dsn

from db.dsn import dsn_fault, is_unverified, session_dsn

ENCODE = "percent-encode the user and the password"


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://ann:secret@db/plexsphere",
        "postgresql://ann:p%40ss%2Fword@[::1]:5432/plexsphere?sslmode=verify-full",
        "postgresql://ann@one:5432,two:5433/x?target_session_attrs=primary",
        "host=/var/run/postgresql dbname=plexsphere user=ann password='p@ss/word'",
    ],
)
def test_a_sound_dsn_has_no_fault(dsn: str) -> None:
    assert dsn_fault(dsn) is None


@pytest.mark.parametrize(
    ("dsn", "sentence"),
    [
        ("postgresql://ann:hunt@er2@db/plexsphere", ENCODE),
        ("postgresql://ann:hunter/2@db/plexsphere", ENCODE),
        ("postgresql://ann:hunter#%zz@db/plexsphere", ENCODE),
        ("postgresql://ann:hunter%ff@db/plexsphere", ENCODE),
        ("postgresql://ann:hunter2@db:54x2/plexsphere", ENCODE),
        ("postgresql://ann:hunter2@[::1/plexsphere", "an IPv6 address stands in [brackets]"),
        ("host=db port=0 password=hunter2", "has a host or port that is none from 1 to 65535"),
        ("postgresql://ann:hunter2@db/x?sslmode=hunter", "has an unknown sslmode"),
        ("host=db connect_timeout=hunter", "has a connect_timeout that is no whole number"),
        ("postgresql:///plexsphere", "with a host"),
        ("hunter2", "is malformed"),
    ],
)
def test_a_fault_is_named_without_a_word_of_the_dsn(dsn: str, sentence: str) -> None:
    fault = dsn_fault(dsn) or ""
    assert sentence in fault and "hunt" not in fault


@pytest.mark.parametrize(
    ("dsn", "unverified"),
    [
        ("postgresql://ann:secret@db.example/x", True),
        ("postgresql://ann:secret@db.example/x?sslmode=verify-ca", True),
        ("postgresql://ann:secret@db.example/x?sslmode=verify-full", False),
        ("postgresql://ann@127.0.0.1/x", False),
        ("postgresql://ann@[::1]/x", False),
        ("host=localhost user=ann", False),
        ("host=localhost.evil.example user=ann", True),
        ("host=/var/run/postgresql user=ann", False),
        ("host=@plexsphere user=ann", False),
        ("postgresql://ann@127.0.0.1:5432,db.example:5432/x", True),
        ("host=localhost,db.example hostaddr=127.0.0.1,127.0.0.2", False),
        ("host=localhost hostaddr=10.0.0.5", True),
        ("host=localhost,localhost hostaddr=127.0.0.1,10.0.0.5", True),
    ],
)
def test_every_host_is_verified_or_on_this_machine(
    dsn: str, unverified: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert is_unverified(dsn) is unverified


def test_the_environment_cannot_lead_a_session_elsewhere() -> None:
    assert parse_dsn(session_dsn("host=localhost", {}))["hostaddr"] == ""
