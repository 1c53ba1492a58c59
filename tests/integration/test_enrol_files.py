"""``enrol files``: the identity of a Node for its agent, on real Postgres."""

from __future__ import annotations

import json
import stat
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from typer.testing import Result

from server.events.keys import new_kek
from tests.command_runs import run
from tests.factories import DOMAIN
from tests.integration.ledger_rows import Hand
from tests.integration.registry_parts import add_domain, digests_of, key_of
from tests.ports.node_credentials import NO_NODE, NODE

pytest_plugins = "tests.integration.ledger_fixtures"
KEK = new_kek()
NAMES = {"identity.json", "private_key", "node_secret_key", "signing_public_key"}


@pytest.fixture
def hand(emptied: Hand) -> Hand:
    """On a ledger with one Node."""
    add_domain(emptied, DOMAIN, "10.42.0.0/16")
    emptied.insert("nodes", id=NODE, domain_id=DOMAIN, mesh_ip="10.42.0.7", public_key=b"k" * 32)
    return emptied


def written(hand: Hand, out: Path, *words: str, node: object = NODE) -> Result:
    asked = ("enrol", "files", "--node", str(node), "--out", str(out), *words)
    return run(*asked, PLEXSPHERE_DSN=hand.dsn, PLEXSPHERE_EVENT_KEK=KEK)


def read(out: Path, name: str) -> bytes:
    return b64decode((out / name).read_text(), validate=True)


def test_an_agent_finds_an_identity_that_the_ledger_agrees_with(hand: Hand, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "identity"
    assert written(hand, out).exit_code == 0
    assert {file.name for file in out.iterdir()} == NAMES
    assert {stat.S_IMODE(file.stat().st_mode) for file in out.iterdir()} == {0o600}
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    private = X25519PrivateKey.from_private_bytes(read(out, "private_key"))
    assert key_of(hand, NODE) == private.public_key().public_bytes_raw()
    assert digests_of(hand, NODE) == (sha256(read(out, "node_secret_key")).digest(),)
    key_id, public_key = hand.run("SELECT key_id, public_key FROM plexsphere.event_keys")[0]
    assert read(out, "signing_public_key") == bytes(public_key)
    assert json.loads((out / "identity.json").read_text()) == {
        "node_id": str(NODE),
        "mesh_ip": "10.42.0.7",
        "signing_public_key": b64encode(bytes(public_key)).decode(),
        "signing_key_id": key_id,
        "domain_mesh_cidr": "10.42.0.0/16",
    }


def test_again_there_are_other_keys_and_a_given_private_key_stays(
    hand: Hand, tmp_path: Path
) -> None:
    out = tmp_path / "identity"
    assert written(hand, out).exit_code == 0
    first = read(out, "node_secret_key")
    kept = ("--private-key", str(out / "private_key"))
    key = key_of(hand, NODE)
    assert written(hand, out, *kept).exit_code == 0
    assert key_of(hand, NODE) == key
    newest = read(out, "node_secret_key")
    assert digests_of(hand, NODE) == (sha256(newest).digest(), sha256(first).digest())
    assert {file.name for file in out.iterdir()} == NAMES


def test_what_cannot_be_written_changes_nothing(hand: Hand, tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o755)
    open_to_all.chmod(0o755)
    for out, node, output in (
        (open_to_all, NODE, "is open to others (mode 0755)"),
        (tmp_path / "new", NO_NODE, f"the ledger has no Node {NO_NODE}; nothing was changed."),
    ):
        refused = written(hand, out, node=node)
        assert (refused.exit_code, output in refused.stderr) == (2, True)
        assert list(out.iterdir()) == []
    assert key_of(hand, NODE) == b"k" * 32
