"""EXTERNAL=1: the parts that PLEXSPHERE_* names are used, and what they hold stays as it is."""

import subprocess
from collections.abc import Iterator

import pytest
import requests

from db.bulk import node_ids
from server.dev.commands import REPOSITORY
from server.dev.files import write_private
from server.dev.postgres import SUPERUSER, binary
from server.dev.process import StackError
from server.dev.stack import Stack

FOLDER = REPOSITORY / ".dev" / "test"
PARTS = ("DSN", "SPICEDB_ENDPOINT", "SPICEDB_TOKEN", "SPICEDB_INSECURE")


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Stack]:
    with Stack(FOLDER / "external-parts", nodes=2) as running:
        running.gunicorn.stop()
        yield running


@pytest.fixture
def settings(elsewhere: Stack) -> dict[str, str]:
    """As a shell would have them, with a database that is empty."""
    command = [str(binary("createdb")), f"--username={SUPERUSER}", "--maintenance-db=postgres"]
    found = {f"PLEXSPHERE_{name}": elsewhere.env[f"PLEXSPHERE_{name}"] for name in PARTS}
    dsn = found["PLEXSPHERE_DSN"]
    password = dsn.partition("@")[0].rpartition(":")[2]
    address = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(elsewhere.postgres.port),
        "PGPASSWORD": password,
    }
    for program in ("dropdb", "createdb"):
        options = ["--if-exists", "--force"] if program == "dropdb" else []
        command[0] = str(binary(program))
        subprocess.run([*command, *options, "external"], env=address, check=True)
    return {**found, "PLEXSPHERE_DSN": f"{dsn.rpartition('/')[0]}/external"}


def pull(stack: Stack) -> int:
    url = f"{stack.url}/v1/nodes/{stack.node_id}/state"
    return requests.get(url, headers=stack.headers, timeout=10).status_code


def test_an_empty_ledger_gets_the_sample_once_and_no_token_is_made_for_foreign_keys(
    settings: dict[str, str],
) -> None:
    with Stack(FOLDER / "external", nodes=3, seed=2, external=settings) as first:
        assert set(first.parts) == {"gunicorn"}
        assert pull(first) == 200
        ids = node_ids(settings["PLEXSPHERE_DSN"])
        assert str(first.sample.node_id(2)) in ids
    foreign = FOLDER / "foreign-jwks.json"
    write_private(foreign, (FOLDER / "external-parts" / "jwks.json").read_text())
    shell = {**settings, "PLEXSPHERE_JWKS": str(foreign), "PLEXSPHERE_TOKEN": "of the shell"}
    with Stack(FOLDER / "external", nodes=5, seed=2, external=shell) as second:
        assert second.identities["PLEXSPHERE_TOKEN"] == "of the shell"
        assert "PLEXSPHERE_SIGNING_KEY" not in second.env
    assert node_ids(settings["PLEXSPHERE_DSN"]) == ids


def test_a_ledger_with_other_nodes_is_served_unchanged(elsewhere: Stack) -> None:
    settings = {"PLEXSPHERE_DSN": elsewhere.dsn}
    before = node_ids(elsewhere.dsn)
    # SpiceDB is this stack's own here, so its tuples come from that ledger.
    with Stack(FOLDER / "external", nodes=3, seed=3, external=settings) as stack:
        assert set(stack.parts) == {"spicedb", "gunicorn"}
        assert stack.node_id == before[0]
        assert "PLEXSPHERE_DOMAIN_ID" not in stack.identities
        assert pull(stack) == 200
    assert node_ids(elsewhere.dsn) == before


def test_an_unreachable_part_is_one_sentence_that_names_its_setting() -> None:
    settings = {"PLEXSPHERE_DSN": "postgresql://nobody@127.0.0.1:1/none"}
    with pytest.raises(StackError, match="Postgres of PLEXSPHERE_DSN"):
        Stack(FOLDER / "external", nodes=1, external=settings).start()
