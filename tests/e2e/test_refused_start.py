"""Every way to start reports all that is wrong at once, without a traceback.

Works on a copy of the tree with one operation renamed and one setting malformed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.dev.ports import free_ports
from tests.trees import copied_tree

GUNICORN = (sys.executable, "-m", "gunicorn")
CONF = ("-c", "python:server.gunicorn.conf")
CLI = "from server.cli import main; import sys; sys.argv[1:] = ['serve']; main()"
STARTS = {
    "bare gunicorn": (*GUNICORN, "wsgi:application"),
    "gunicorn with our settings": (*GUNICORN, *CONF, "wsgi:application"),
    "serve": (sys.executable, "-c", CLI),
    "the reload's check": (sys.executable, "-m", "server.dev.check_boot"),
}
SETTINGS = ("PLEXSPHERE_THREADS must be", "PLEXSPHERE_LOG_LEVEL must be")
CONTRACT = (
    "operation GetLives of the contract has no handler",
    "handler GetLivez has no operation in the contract",
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copied_tree(tmp_path_factory.mktemp("tree"))
    contract = folder / "api" / "plexsphere-v1.yaml"
    text = contract.read_text()
    contract.write_text(text.replace("operationId: GetLivez", "operationId: GetLives", 1))
    return folder


def started(tree: Path, how: str, **settings: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PLEXSPHERE_")}
    env |= {"PYTHONPATH": str(tree), "HOME": str(tree), "PLEXSPHERE_WORKERS": "2", **settings}
    env["PLEXSPHERE_BIND"] = f"127.0.0.1:{free_ports(1)[0]}"
    env["GUNICORN_CMD_ARGS"] = f"--bind {env['PLEXSPHERE_BIND']} --no-control-socket"
    return subprocess.run(
        STARTS[how], cwd=tree, env=env, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("how", STARTS)
def test_settings_and_contract_are_complained_of_together(tree: Path, how: str) -> None:
    done = started(tree, how, PLEXSPHERE_THREADS="many", PLEXSPHERE_LOG_LEVEL="loud")
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert [output.count(sentence) for sentence in (*SETTINGS, *CONTRACT)] == [1, 1, 1, 1], output
    assert "Traceback" not in output


# With sound settings the masters fork workers, and each worker finds the same.
@pytest.mark.parametrize("how", ["bare gunicorn", "gunicorn with our settings"])
def test_a_contract_alone_is_complained_of_once_for_all_workers(tree: Path, how: str) -> None:
    done = started(tree, how)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert [output.count(sentence) for sentence in CONTRACT] == [1, 1], output
    assert "Traceback" not in output


def test_a_handler_that_does_not_import_is_one_line_with_its_place(tree: Path) -> None:
    broken = tree / "handlers" / "zz.py"
    broken.write_text("x = 1\ndef f(:\n")
    index = tree / "handlers" / "__init__.py"
    whole = index.read_text()
    index.write_text(whole + "\nfrom handlers import zz\n")
    try:
        done = started(tree, "bare gunicorn")
    finally:
        index.write_text(whole)
        broken.unlink()
    output = done.stdout + done.stderr
    assert f"{broken}:2:" in output and "Traceback" not in output, output
