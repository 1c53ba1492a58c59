"""The wheel, installed in a clean virtualenv, serves the pull from there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from server.contract import Contract
from server.dev.ports import free_ports
from server.dev.stack import Stack
from tests.client import ask, pull_path

ROOT = Path(__file__).resolve().parents[2]
BOOTSTRAP = ROOT / "deploy" / "bootstrap"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of a virtualenv that has the wheel, and our dependencies from beside it.

    Dependencies come by a path entry: path files beside them, the clone's editable install among
    those, are not read there, so only the wheel can answer for our packages.
    """
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    wheel = next(folder.glob("*.whl"))
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    pip = next(BOOTSTRAP.glob("pip-*.whl")) / "pip"
    install = [str(python), str(pip), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True)
    site = next(venv.glob("lib/python*/site-packages"))
    dependencies = next(Path(sys.prefix).glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    return python


@contextmanager
def served_from(python: Path, stack: Stack, folder: Path) -> Iterator[str]:
    port = free_ports(1)[0]
    env = {**os.environ, **stack.env, "PLEXSPHERE_BIND": f"127.0.0.1:{port}"}
    command = [str(python), "-m", "gunicorn", "-c", "python:server.gunicorn_conf"]
    log = (folder / "gunicorn.log").open("wb")
    server = subprocess.Popen([*command, "wsgi:application"], env=env, cwd=folder, stdout=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with suppress(OSError):
                if ask(url, "/readyz").status == 200:
                    break
            time.sleep(0.05)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=30)
        log.close()


def test_the_wheel_serves_the_pull_the_contract_and_the_page(
    installed: Path, stack: Stack, tmp_path: Path
) -> None:
    found = subprocess.run(
        [
            str(installed),
            "-c",
            "import server.contract, db.migrate; print(server.contract.__file__)",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(installed.parent.parent) in found.stdout  # the wheel's, not the clone's
    with served_from(installed, stack, tmp_path) as url:
        assert ask(url, "/v1/openapi.yaml").body == Contract.packaged().raw
        assert ask(url, "/docs").status == 200
        reply = ask(url, pull_path(stack.node_id), stack.headers)
        assert reply.status == 200
        assert reply.body == ask(stack.url, pull_path(stack.node_id), stack.headers).body


def test_the_wheels_command_migrates_and_knows_its_files(
    installed: Path, stack: Stack, tmp_path: Path
) -> None:
    command = str(installed.with_name("plexsphere-state"))
    for arguments in (["migrate"], ["doctor"], ["receipt"]):
        done = subprocess.run(
            [command, *arguments],
            env={**os.environ, **stack.env},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
