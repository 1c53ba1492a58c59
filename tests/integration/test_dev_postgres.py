"""The files of an earlier start of the embedded Postgres do not prevent the next start."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import pytest

from server.dev.commands import REPOSITORY, Places
from server.dev.ports import free_ports
from server.dev.postgres import Cluster
from server.dev.process import end_strays

CREATE = """
import sys
from pathlib import Path
from server.dev.postgres import Cluster
Cluster(Path(sys.argv[1]), 1).create()
"""
PLACES = Places(REPOSITORY / ".dev" / "test" / "cluster")


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(PLACES.postgres, free_ports(1)[0])


@contextmanager
def started(cluster: Cluster) -> Iterator[None]:
    process = cluster.start()
    try:
        cluster.wait_ready(process)
        yield
    finally:
        process.end(signal.SIGINT, 10)


def test_an_interrupted_initdb_is_done_again(cluster: Cluster) -> None:
    shutil.rmtree(cluster.folder, ignore_errors=True)
    maker = subprocess.Popen([sys.executable, "-c", CREATE, str(cluster.folder)], cwd=REPOSITORY)
    deadline = time.monotonic() + 60
    while not (cluster.folder / "new" / "data").is_dir():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    maker.kill()
    maker.wait()
    end_strays(PLACES.is_stray)  # as every start does
    assert not cluster.data.exists()
    assert cluster.create()
    with started(cluster):
        cluster.recreate_database()
        psycopg2.connect(cluster.dsn).close()


def test_a_stale_pid_file_with_the_pid_of_another_program_is_ignored(cluster: Cluster) -> None:
    cluster.create()
    data = cluster.data
    stale = f"{os.getpid()}\n{data}\n1\n1\n\n127.0.0.1\n\nready\n"
    (data / "postmaster.pid").write_text(stale)
    with started(cluster):
        assert (data / "postmaster.pid").read_text().splitlines()[0] != str(os.getpid())
