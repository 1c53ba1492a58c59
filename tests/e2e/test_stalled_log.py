"""A reader of the service's log may stop reading: clients are served all the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.client import ask
from tests.small_gunicorn import small_gunicorn, status

# More than a pipe and the queue hold; each refused request is a line of a hundred bytes.
REFUSED = 1_500


def test_a_reader_of_stdout_that_stalls_stops_nobody(tmp_path: Path) -> None:
    """No token is needed to write lines."""
    settings = {"LOG_QUEUE": "100", "THREADS": "8"}
    with small_gunicorn(tmp_path, settings, stdout=subprocess.PIPE) as served:
        for _ in range(REFUSED):
            with served.connect() as raw:
                raw.sendall(b"NONSENSE\r\n\r\n")
                assert status(raw) == 400
        assert ask(served.url, "/").status == 200
        served.process.terminate()
        assert served.process.wait(timeout=20) == 0
        assert served.process.stdout is not None
        assert served.process.stdout.read()
