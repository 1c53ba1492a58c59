"""README and runbook say what is so: their commands run, their response is the service's."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from server.cli import build_app
from server.dev.run import write_env
from server.dev.stack import Stack
from server.settings import COMMAND_VARIABLES, declared_settings
from tests.bodies import JSON
from tests.client import ask, bearer, pull_path
from tests.stacks import as_if_an_evaluator_had_swept

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
SHOWN_PEERS = 2
# Moved by heartbeats, and by sweeps where a ledger outlives its test run.
MOMENTS = ("last_heartbeat_at", "changed_at", "state")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def shell(stack: Stack, script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A script as a person pastes it, where ``. .dev/env`` is this stack's."""
    (folder / ".dev").mkdir(exist_ok=True)
    write_env(folder / ".dev" / "env", stack.env | stack.identities)
    return subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def without_moments(value: dict[str, Any]) -> dict[str, Any]:
    """A body whose two moving timestamps are blanked."""
    blanked = copy.deepcopy(value)
    for name in MOMENTS:
        blanked["reachability"][name] = ""
    return blanked


def shown(body: dict[str, Any]) -> dict[str, Any]:
    """A body as the README shows it."""
    return {**body, "peers": body["peers"][:SHOWN_PEERS]}


def test_the_two_commands_are_make_run_and_a_curl_that_answers_200(
    stack: Stack, tmp_path: Path
) -> None:
    run, curl = blocks(README, "sh")[:2]
    assert run == "make run\n"
    done = shell(stack, curl, tmp_path)
    assert done.returncode == 0, done.stderr
    body = ask(stack.url, pull_path(stack.node_id), stack.headers).json
    assert without_moments(json.loads(done.stdout)) == without_moments(body)


def test_the_response_is_the_services_own(stack: Stack) -> None:
    body = shown(ask(stack.url, pull_path(stack.node_id), stack.headers).json)
    printed = json.loads(blocks(README, "json")[0])
    assert without_moments(printed) == without_moments(body), json.dumps(body, indent=2)


def test_the_environment_variables_it_names_are_read() -> None:
    named = set(re.findall(r"`(PLEXSPHERE_[A-Z_]+)`", README)) - COMMAND_VARIABLES.keys()
    assert len(named) >= 10
    assert named - declared_settings().keys() == set()


def test_the_commands_that_fill_the_ledger_do(stack: Stack, tmp_path: Path) -> None:
    """In a Domain of this test's own: others count the sample's Nodes."""
    operator = bearer(stack.identities["PLEXSPHERE_OPERATOR_TOKEN"])
    value = {"name": "Readme", "slug": "readme", "mesh_cidr": "10.98.0.0/16"}
    again = operator | JSON | {"Idempotency-Key": "readme"}
    made = ask(stack.url, "/v1/domains", again, method="POST", body=json.dumps(value).encode())
    block = next(text for text in blocks(README, "sh") if "/v1/domains" in text)
    start = f". .dev/env; PLEXSPHERE_DOMAIN_ID={made.json['id']}\n"
    done = shell(stack, start + block, tmp_path)
    assert done.returncode == 0, done.stderr
    (domain_id,) = re.findall(r'"id":"([^"]+)","name":"Plant North"', done.stdout)
    assert '"mesh_ip":"10.98.0.' in done.stdout
    assert "user:ann" in done.stdout
    # The ledger of the tests outlives them, and a second Domain of that name would be refused.
    gone = ask(stack.url, f"/v1/domains/{domain_id}", operator, method="DELETE")
    assert gone.status == 204


def test_the_commands_for_production_exist() -> None:
    block = next(text for text in blocks(README, "sh") if "plexsphere-state serve" in text)
    commands = [line.split("#")[0] for line in block.splitlines()]
    assert len(commands) == 8
    for command in commands:
        script, *words = command.split()
        assert script == "plexsphere-state"
        result = CliRunner().invoke(build_app(), [*words, "--help"])
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize("text", [README, RUNBOOK], ids=["readme", "runbook"])
def test_every_link_into_the_repository_leads_somewhere(text: str) -> None:
    base = ROOT if text is README else ROOT / "docs"
    links = re.findall(r"\]\(([^)#]+)\)", text)
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (base / link).exists()] == []


@pytest.mark.parametrize("part", ["supervisor", "postgres", "relay"])
def test_the_runbook_finds_the_pid_of_a_part_to_freeze(tmp_path: Path, part: str) -> None:
    (found,) = re.findall(r"^    (pid\(\) .*)$", RUNBOOK, re.MULTILINE)
    pids = {"supervisor": 7, "postgres": 812, "gunicorn": 81, "spicedb": 8, "relay": 4194304}
    (tmp_path / ".dev").mkdir()
    (tmp_path / ".dev" / "pids.json").write_text(json.dumps(pids))
    script = f"{found}; pid {part}"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == str(pids[part])


@pytest.mark.parametrize("step", range(1, len(blocks(RUNBOOK, "sh"))))
def test_every_step_of_the_runbook_is_a_command_that_works(
    stack: Stack, tmp_path: Path, step: int
) -> None:
    start, *steps = blocks(RUNBOOK, "sh")
    script = steps[step - 1].replace("/tmp/before.json", "before.json")
    as_if_an_evaluator_had_swept(stack)
    done = shell(stack, start + script, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
