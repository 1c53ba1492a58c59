"""``init`` on a Postgres and a SpiceDB that are blank, and the first 200 after it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from server.authn.signing import new_key
from server.dev.ports import free_ports
from server.dev.process import Command, Process, wait_until
from server.events.keys import parse_keks
from tests.command_runs import failed, run
from tests.factories import key_bytes
from tests.integration.spicedb_parts import KEY, SpiceDb, soon, spicedb_in

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import FreshDatabase

pytest_plugins = "tests.integration.ledger_fixtures"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def blank_spicedb(tmp_path: Path) -> Iterator[SpiceDb]:
    with spicedb_in(tmp_path / "spicedb") as running:
        running.admin.write_schema("", soon())
        assert running.admin.read_schema(soon()) is None
        yield running


@pytest.fixture
def shell(fresh_database: FreshDatabase, blank_spicedb: SpiceDb) -> dict[str, str]:
    """The settings that an operator must know of blank servers."""
    return {
        "PLEXSPHERE_DSN": fresh_database(),
        "PLEXSPHERE_SPICEDB_ENDPOINT": f"127.0.0.1:{blank_spicedb.port}",
        "PLEXSPHERE_SPICEDB_TOKEN": KEY,
        "PLEXSPHERE_SPICEDB_INSECURE": "1",
    }


def environment(file: Path) -> dict[str, str]:
    """As `set -a; . file` reads it."""
    lines = [shlex.split(line, comments=True) for line in file.read_text().splitlines()]
    return dict(words[0].split("=", 1) for words in lines if words)


def test_blank_servers_become_a_service_that_answers_the_first_pull(
    shell: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "etc"
    relative = os.path.relpath(folder)
    first = run("init", "--manager", "user:ann", "--folder", relative, **shell)
    assert first.exit_code == 0, first.output
    assert "SpiceDB has the schema of this release\n" in first.stdout
    settings = environment(folder / "plexsphere-state.env")
    private = [folder / "plexsphere-state.env", folder / "signing-key.json"]
    assert [file.stat().st_mode & 0o777 for file in private] == [0o600, 0o600]
    assert "PLEXSPHERE_JWKS" not in settings
    parse_keks(settings["PLEXSPHERE_EVENT_KEK"])
    assert "#PLEXSPHERE_NATS_URL=nats://" in (folder / "plexsphere-state.env").read_text()
    contents = [file.read_bytes() for file in sorted(folder.iterdir())]

    # A shell looks a name without a slash up in PATH.
    assert f"set -a; . {folder}/plexsphere-state.env; set +a" in first.stdout

    again = run("init", "--manager", "user:ann", "--folder", str(folder), **shell)
    assert again.exit_code == 0, again.output
    assert [file.read_bytes() for file in sorted(folder.iterdir())] == contents

    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    base = {name: text for name, text in os.environ.items() if not name.startswith("PLEXSPHERE_")}
    served = {**base, **settings, "PLEXSPHERE_BIND": f"127.0.0.1:{port}", "PLEXSPHERE_WORKERS": "1"}
    gunicorn = ["-m", "gunicorn", "-c", "python:server.gunicorn.conf", "wsgi:application"]
    argv = [sys.executable, *gunicorn]
    command = Command("service", argv, served, ROOT, signal.SIGTERM, log=tmp_path / "log")
    service = Process(command)
    try:
        wait_until(lambda: is_ready(url), service, 60, "ready")
        token = run("token", "user:ann", **settings).stdout.strip()
        ann = {"Authorization": f"Bearer {token}"}
        plant = {"name": "Plant", "slug": "plant", "mesh_cidr": "10.99.0.0/16"}
        domain = requests.post(f"{url}/v1/domains", headers=ann, json=plant, timeout=10).json()
        nodes = f"{url}/v1/domains/{domain['id']}/nodes"
        body = {"public_key": b64encode(key_bytes(1)).decode()}
        node = requests.post(nodes, headers=ann, json=body, timeout=10).json()
        agent = {"Authorization": f"Bearer {node['token']}"}
        state = f"{url}/v1/nodes/{node['node_id']}/state"
        assert requests.get(state, headers=agent, timeout=10).status_code == 200
        checks = json.loads(run("doctor", "--json", "--url", url, **settings).stdout)["checks"]
        bad = [check["name"] for check in checks if not check["ok"]]
        assert bad == ["evaluator"]  # none runs
        fleet = run("fleet", "status", **settings)
        assert (fleet.exit_code, fleet.stdout[:7]) == (0, "Domain "), fleet.output
    finally:
        service.end(signal.SIGTERM, 15)

    # The Node's registration made an event key, which another key could not decrypt.
    other = run("init", "--manager", "user:ann", "--folder", str(tmp_path / "other"), **shell)
    assert "left PLEXSPHERE_EVENT_KEK out" in other.stdout
    assert "PLEXSPHERE_EVENT_KEK" not in environment(tmp_path / "other/plexsphere-state.env")


def test_a_key_in_the_variable_itself_is_refused_and_not_shown(
    shell: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key = json.dumps(new_key("EdDSA"))
    refused = run("init", "--manager", "user:ann", PLEXSPHERE_SIGNING_KEY=key, **shell)
    sentence = failed(refused, 2)
    assert "PLEXSPHERE_SIGNING_KEY is the key itself" in sentence
    assert json.loads(key)["d"] not in refused.output


def is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def test_a_spicedb_of_other_programs_keeps_its_schema(
    shell: dict[str, str], blank_spicedb: SpiceDb
) -> None:
    theirs = "definition wiki {}"
    blank_spicedb.admin.write_schema(theirs, soon())
    sentence = failed(run("authz", "schema", **shell), 1)
    assert "definitions of other programs (wiki); nothing was changed" in sentence
    assert "wiki" in (blank_spicedb.admin.read_schema(soon()) or "")
