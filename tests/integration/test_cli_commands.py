"""The commands against the real service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server.dev.stack import Stack
from tests.integration.cli_script import Run, pulled, run_script
from tests.stacks import as_if_an_evaluator_had_swept

pytest_plugins = "tests.integration.cli_script"


def test_snapshot_shows_every_block(run: Run, stack: Stack) -> None:
    result = run("snapshot", stack.node_id)
    text = result.stdout.decode()
    assert (result.returncode, result.stderr) == (0, b"")
    for peer in pulled(stack).json()["peers"]:
        assert peer["node_id"] in text and peer["public_key"] in text
    for block in ("peers", "reachability", "policy", "bridge", "state", "reports"):
        assert f"\n{block}  " in text or f"\n{block}\n" in text


def test_raw_is_the_body_byte_for_byte(stack: Stack) -> None:
    result = run_script(stack, "snapshot", stack.node_id, "--raw")
    assert (result.returncode, result.stdout) == (0, pulled(stack).content)


def test_the_node_may_come_from_the_environment(run: Run, stack: Stack) -> None:
    assert json.loads(run("snapshot", "--json").stdout) == pulled(stack).json()


def test_diff_against_an_earlier_body(run: Run, stack: Stack, tmp_path: Path) -> None:
    earlier = pulled(stack)
    same = run("snapshot", stack.node_id, "--diff", "-", stdin=earlier.content)
    assert (same.returncode, same.stdout) == (0, b"same  no block differs\n")
    edited = earlier.json()
    gone = edited["peers"].pop()
    (tmp_path / "earlier.json").write_text(json.dumps(edited))
    other = run("snapshot", stack.node_id, "--diff", str(tmp_path / "earlier.json"))
    assert other.returncode == 1
    assert f"+ added   {gone['node_id']}" in other.stdout.decode()


def test_explain_agrees_with_the_pull(run: Run, stack: Stack) -> None:
    found = json.loads(run("snapshot", stack.node_id, "--explain", "--json").stdout)
    assert len(found["domain"]) == stack.sample.nodes
    peers = [node["id"] for node in found["domain"] if node["outcome"] == "peer"]
    assert peers == [peer["node_id"] for peer in pulled(stack).json()["peers"]]
    others = sorted(node["outcome"] for node in found["domain"] if node["outcome"] != "peer")
    assert others == ["addressed", "invalid_mesh_ip"]


def test_explain_names_the_rows_of_a_bridge(run: Run, stack: Stack) -> None:
    text = run("snapshot", str(stack.sample.bridge_id), "--explain").stdout.decode()
    for table in (
        "bridge_resources",
        "bridge_relays",
        "bridge_relay_assignments",
        "bridge_user_access_providers",
        "bridge_ingress_rules",
        "bridge_site_to_site_tunnels",
    ):
        assert table in text


def test_diff_of_two_nodes_of_a_domain(run: Run, stack: Stack) -> None:
    a, b = stack.node_id, str(stack.sample.bridge_id)
    result = run("diff", a, b, "--token-b", stack.token(f"node:{b}"))
    text = result.stdout.decode()
    assert result.returncode == 1
    assert "only B" in text and "bridge" in text
    assert "peers" in text.partition("same  ")[2]
    assert run("diff", a, a).returncode == 0


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("PLEXSPHERE_AUDITOR_TOKEN", b"403 insufficient_relation"),
        ("", b"401 unauthorized"),
    ],
)
def test_a_refusal_is_one_sentence(run: Run, stack: Stack, token: str, sentence: bytes) -> None:
    sent = stack.identities[token] if token else ""
    result = run("snapshot", stack.node_id, env={"PLEXSPHERE_TOKEN": sent})
    assert (result.returncode, result.stdout) == (3, b"")
    assert sentence in result.stderr and b"correlation_id" in result.stderr
    assert result.stderr.count(b"\n") == 1


def test_a_minted_token_pulls(run: Run, stack: Stack) -> None:
    token = run("token", f"node:{stack.node_id}", "--ttl", "60").stdout.decode().strip()
    assert run("snapshot", stack.node_id, env={"PLEXSPHERE_TOKEN": token}).returncode == 0


def test_migrate_finds_nothing_to_do(run: Run) -> None:
    result = run("migrate")
    assert (result.returncode, result.stdout[:13]) == (0, b"nothing to do")


def test_the_receipt_is_complete(run: Run) -> None:
    result = run("receipt", "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout)["complete"] is True


def test_doctor_finds_everything_well(run: Run, stack: Stack) -> None:
    as_if_an_evaluator_had_swept(stack)
    result = run("doctor", "--json")
    found = json.loads(result.stdout)
    assert (result.returncode, found["ok"]) == (0, True), found
    names = [check["name"] for check in found["checks"]]
    assert names == [
        *("settings", "postgres", "ledger schema", "clock"),
        *("spicedb", "spicedb schema", "outbox", "evaluator", "relationships", "agents"),
        *("event keys", "connections", "pooler", "duplicates", "descriptors", "jwks", "service"),
    ]


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        ({"PLEXSPHERE_SPICEDB_TOKEN": "wrong"}, "spicedb"),
        ({"PLEXSPHERE_SPICEDB_ENDPOINT": "127.0.0.1:1"}, "spicedb"),
        ({"PLEXSPHERE_DSN": "postgresql://x@127.0.0.1:1/x"}, "postgres"),
        ({"PLEXSPHERE_JWKS": "http://127.0.0.1:1/jwks"}, "jwks"),
        ({"PLEXSPHERE_WORKERS": "many"}, "settings"),
    ],
)
def test_doctor_says_what_is_wrong_and_how_to_mend_it(
    run: Run, stack: Stack, broken: dict[str, str], name: str
) -> None:
    as_if_an_evaluator_had_swept(stack)
    result = run("doctor", "--json", env=broken)
    bad = [check for check in json.loads(result.stdout)["checks"] if not check["ok"]]
    assert result.returncode == 1
    assert [check["name"] for check in bad] == [name]
    assert bad[0]["remedy"]


def test_malformed_settings_refuse_to_serve_all_at_once(stack: Stack) -> None:
    broken = {"PLEXSPHERE_JWT_ISSUER": "", "PLEXSPHERE_WORKERS": "many", "PLEXSPHERE_JWKS": "/x"}
    result = run_script(stack, "serve", **broken)
    assert (result.returncode, result.stdout) == (2, b"")
    lines = result.stderr.decode().splitlines()
    assert len(lines) == 3
    assert all(any(name in line for line in lines) for name in broken)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_complete_in_shells(stack: Stack, shell: str) -> None:
    env = {
        "_PLEXSPHERE_STATE_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "plexsphere-state sna",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "plexsphere-state sna",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    assert b"snapshot" in run_script(stack, **env).stdout
