"""The wheel, built from a copy of the tree, in a virtualenv that has what it asks for alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from server.dev.ports import free_ports
from tests.client import ask

ROOT = Path(__file__).resolve().parents[1]
BOOTSTRAP = ROOT / "deploy" / "bootstrap"
ROOMS = ("api", "composer", "db", "handlers", "server")
BESIDE = ("wsgi.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
AUTHOR = {
    f"GIT_{who}_{what}": text
    for who in ("AUTHOR", "COMMITTER")
    for what, text in (("NAME", "a"), ("EMAIL", "a@b"), ("DATE", "2026-11-23T08:00:00+01:00"))
}
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc")


def built_wheel(folder: Path) -> Path:
    """From a copy: what an earlier build left in the clone must not get in."""
    tree = folder / "tree"
    for room in ROOMS:
        shutil.copytree(ROOT / room, tree / room, ignore=LEFT_OUT)
    for name in BESIDE:
        shutil.copy(ROOT / name, tree / name)
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "a release"]):
        subprocess.run(["git", "-C", str(tree), *command], check=True, env=os.environ | AUTHOR)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(tree)], check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def clean_virtualenv(folder: Path, wheel: Path, requirements: list[str]) -> Path:
    """Its python. It has the wheel, and of our own packages what the wheel requires."""
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    pip = next(BOOTSTRAP.glob("pip-*.whl")) / "pip"
    install = [str(python), str(pip), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True)
    site = next(venv.glob("lib/python*/site-packages"))
    for package in closure(requirements):
        for entry in top_entries(package):
            with suppress(FileExistsError):
                (site / entry.name).symlink_to(entry)
    return python


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(requirements: list[str]) -> list[Distribution]:
    """All that is installed here of what they require, extras and markers heeded."""
    found: dict[str, Distribution] = {}
    waiting = [(Requirement(text), "") for text in requirements]
    seen: set[str] = set()
    while waiting:
        requirement, extra = waiting.pop()
        if f"{requirement} {extra}" in seen or (
            requirement.marker and not requirement.marker.evaluate({"extra": extra})
        ):
            continue
        seen.add(f"{requirement} {extra}")
        known = found.setdefault(canonical(requirement.name), distribution(requirement.name))
        inner = [Requirement(text) for text in known.requires or ()]
        waiting += [(each, name) for each in inner for name in ("", *requirement.extras)]
    return list(found.values())


def top_entries(package: Distribution) -> set[Path]:
    """The files and folders of site-packages that a distribution has put there."""
    site = Path(str(package.locate_file("")))
    return {
        site / file.parts[0] for file in package.files or () if file.parts[0] not in ("..", "/")
    }


@contextmanager
def served_from(
    python: Path, folder: Path, env: Mapping[str, str], wait_for: str = "/readyz"
) -> Iterator[str]:
    """A gunicorn of that python in an empty folder, logging to ``gunicorn.log`` there."""
    port = free_ports(1)[0]
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(python), "-m", "gunicorn", "-c", "python:server.gunicorn.conf"]
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PLEXSPHERE_"))}
    with (folder / "gunicorn.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "wsgi:application"],
            env={**plain, **env, "PLEXSPHERE_BIND": f"127.0.0.1:{port}"},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(600):
                with suppress(OSError):
                    if ask(url, wait_for).status == 200:
                        break
                time.sleep(0.05)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=30)
