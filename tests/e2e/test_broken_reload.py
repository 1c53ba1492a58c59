"""A tree that does not start never ends a service: reloads and respawns of a broken tree."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from server.dev.process import descendants
from tests.client import ask
from tests.small_gunicorn import Served, small_gunicorn
from tests.trees import copied_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def running(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("gunicorn")
    with small_gunicorn(
        folder, {"WORKERS": "2"}, application="wsgi:application", tree=tree
    ) as served:
        yield served


@pytest.fixture
def served(running: Served) -> Iterator[Served]:
    yield running
    assert running.process.poll() is None, running.log.read_text()


# The first is found by the checks of a start, the second behind them.
BREAKS = {
    "a handler": ("handlers/service.py", "from __future__", "from __futur"),
    "the application": ("wsgi.py", "service = start()", "service = stop()"),
}


class Broken:
    """A file of the tree that does not load, until it is mended."""

    def __init__(self, tree: Path, name: str) -> None:
        path, old, new = BREAKS[name]
        self.file = tree / path
        self.sound = self.file.read_text()
        assert old in self.sound
        self.broken = self.sound.replace(old, new, 1)

    def __enter__(self) -> Broken:
        self.file.write_text(self.broken)
        return self

    def __exit__(self, *error: object) -> None:
        self.file.write_text(self.sound)


def eventually(happened: Callable[[], bool]) -> bool:
    for _ in range(1200):
        with suppress(OSError):
            if happened():
                return True
        time.sleep(0.05)
    return False


def workers(served: Served) -> set[int]:
    return set(descendants(served.process.pid))


def release(served: Served) -> str:
    """The status of the release in /readyz, which is 503 as nothing is provisioned."""
    checks = {check["name"]: check for check in ask(served.url, "/readyz").json["checks"]}
    return str(checks["release"]["status"])


def has_logged(served: Served, words: str, times: int) -> bool:
    return served.log.read_text().count(words) > times


@pytest.mark.parametrize("name", BREAKS)
def test_a_reload_of_a_broken_tree_keeps_what_serves_and_is_tried_again(
    served: Served, tree: Path, name: str
) -> None:
    before = workers(served)
    times = served.log.read_text().count("Not reloaded")
    with Broken(tree, name):
        served.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: has_logged(served, "Not reloaded", times)), served.log.read_text()
        assert workers(served) == before
        assert ask(served.url, "/livez").status == 200
        assert release(served) == "degraded"
    assert eventually(lambda: release(served) == "ok"), served.log.read_text()
    assert eventually(lambda: not workers(served) & before)


def test_a_worker_that_dies_while_the_tree_is_broken_is_tried_again(
    served: Served, tree: Path
) -> None:
    first, second = sorted(workers(served))
    times = served.log.read_text().count("exited with code 1")
    with Broken(tree, "a handler"):
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: has_logged(served, "exited with code 1", times)), (
            served.log.read_text()
        )
        assert ask(served.url, "/livez").status == 200
        assert second in workers(served)
    booted = served.log.read_text().count("Booting worker")
    assert eventually(lambda: has_logged(served, "Booting worker", booted - 1))
    assert eventually(lambda: len(workers(served)) == 2)


def test_a_reload_starts_the_new_before_it_ends_the_old(
    served: Served, tree: Path, tmp_path: Path
) -> None:
    """However long a new worker takes to start: this one waits for the test."""
    before = workers(served)
    wsgi = tree / "wsgi.py"
    sound = wsgi.read_text()
    starting, may_start = tmp_path / "starting", tmp_path / "may-start"
    wait = f"Path({str(starting)!r}).touch()\nwhile not Path({str(may_start)!r}).exists():\n"
    wsgi.write_text(f"import time\nfrom pathlib import Path\n{wait}    time.sleep(0.05)\n{sound}")
    try:
        served.process.send_signal(signal.SIGHUP)
        assert eventually(starting.exists), served.log.read_text()
        assert eventually(lambda: before < workers(served)), served.log.read_text()
        assert {ask(served.url, "/livez").status for _ in range(10)} == {200}
        may_start.touch()
        assert eventually(lambda: bool(workers(served)) and not workers(served) & before)
    finally:
        wsgi.write_text(sound)


def test_a_reload_takes_the_worker_itself_from_the_new_release(served: Served, tree: Path) -> None:
    file = tree / "server" / "gunicorn" / "worker.py"
    sound = file.read_text()
    assert '(400, "Bad Request")' in sound
    file.write_text(sound.replace('(400, "Bad Request")', '(400, "Newer Release")'))
    try:
        before = workers(served)
        served.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: bool(workers(served)) and not workers(served) & before)
        with served.connect() as client:
            client.sendall(b"no request\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 400 Newer Release\r\n")
    finally:
        file.write_text(sound)
