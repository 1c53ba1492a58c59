"""The folder in which workers count: where it is, when it goes, and who is left in it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.gunicorn.metrics_folder import heartbeat_folder
from server.telemetry import dead_workers
from server.telemetry.dead_workers import DeadWorkers, add_up_dead
from server.telemetry.metric_files import ROOM

ROOT = Path(__file__).resolve().parents[2]
# One worker: counts, and ends.
WORKER = """
from server.telemetry.metrics import Metrics
metrics = Metrics()
metrics.breaches.labels("GetNodeState").inc(3)
metrics.seconds.labels("GetNodeState").observe_all([0.02, 7.0])
metrics.threads_busy.labels("requests").set(2)
"""
SCRAPE = "from server.telemetry.metrics import Metrics; print(Metrics().exposition().decode())"
FOLDER = "from server.gunicorn.metrics_folder import metrics_folder as make; print(make('x-', {}))"


def python(code: str, **env: str) -> tuple[int, str, str]:
    """The process id, and what it printed."""
    started = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    printed, complaint = started.communicate(timeout=60)
    return started.pid, printed, complaint


def test_the_counts_of_dead_workers_stay_in_one_file_of_each_kind(tmp_path: Path) -> None:
    folder = str(tmp_path)
    for _ in range(2):
        pid, _, complaint = python(WORKER, PROMETHEUS_MULTIPROC_DIR=folder)
        assert complaint == ""
        add_up_dead(folder, pid)
        add_up_dead(folder, pid)  # harmless to repeat
    assert sorted(file.name for file in tmp_path.iterdir()) == ["counter_0.db", "histogram_0.db"]
    _, text, _ = python(SCRAPE, PROMETHEUS_MULTIPROC_DIR=folder)
    for line in (
        'plexsphere_contract_breaches_total{operation="GetNodeState"} 6.0',
        'plexsphere_http_request_seconds_sum{operation="GetNodeState"} 14.04',
        'plexsphere_http_request_seconds_bucket{le="5.0",operation="GetNodeState"} 2.0',
        'plexsphere_http_request_seconds_count{operation="GetNodeState"} 4.0',
    ):
        assert line in text.splitlines()
    assert "plexsphere_threads_busy{" not in text


# Every label that a worker can count under.
ALL_LABELS = """
from handlers import OPERATIONS
from server.http.problems import TITLES
from server.telemetry.answered import STAGES
from server.telemetry.metrics import Metrics
metrics = Metrics()
for operation in OPERATIONS:
    for status in (200, 201, 204, 304, *TITLES):
        metrics.requests.labels(operation, str(status)).inc()
    metrics.breaches.labels(operation).inc()
    metrics.seconds.labels(operation).observe_all([1.0])
    for stage in STAGES:
        metrics.stages.labels(operation, stage).observe_all([1.0])
"""
# No file may be larger than the first of them.
WITHOUT_ROOM = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536))\n"


def test_the_room_of_a_worker_is_twice_what_its_labels_take(tmp_path: Path) -> None:
    """Without it the library would map pages that the disk may not have: make ROOM larger."""
    _, _, complaint = python(ALL_LABELS, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    assert complaint == ""
    sizes = {}
    for file in tmp_path.iterdir():
        kind = file.stem.rpartition("_")[0]
        sizes[kind] = file.stat().st_size
        assert file.stat().st_blocks * 512 >= ROOM[kind]
        assert 2 * int.from_bytes(file.read_bytes()[:4], sys.byteorder) < ROOM[kind]
    assert sizes == ROOM


def test_a_worker_without_room_for_its_counts_loses_them_and_says_it(tmp_path: Path) -> None:
    _, printed, complaint = python(WITHOUT_ROOM + WORKER, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    assert (complaint, list(tmp_path.iterdir())) == ("", [])
    assert "metrics_not_shared" in printed


def test_counts_of_a_dead_worker_that_the_disk_has_no_room_for_are_left(tmp_path: Path) -> None:
    folder = str(tmp_path)
    pid, _, _ = python(WORKER, PROMETHEUS_MULTIPROC_DIR=folder)
    code = f"from server.telemetry.dead_workers import add_up_dead; add_up_dead({folder!r}, {pid})"
    _, _, complaint = python(WITHOUT_ROOM + code)
    assert "OSError" in complaint
    assert {file.name for file in tmp_path.iterdir()} == {
        f"counter_{pid}.db",
        f"histogram_{pid}.db",
    }


def test_a_torn_file_of_a_dead_worker_does_not_end_the_master(tmp_path: Path) -> None:
    (tmp_path / "counter_7.db").write_bytes(b"\x40" + bytes(7) + b"\x7f" * 56)
    warned: list[object] = []
    DeadWorkers(str(tmp_path), lambda *words: warned.append(words[:2])).ended(7, {})
    assert warned == [("metrics of worker %s are not added up: %r", 7)]


def test_a_scrape_that_does_not_end_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_workers, "PAUSE", 0.0)
    with dead_workers.unchanged(str(tmp_path)), pytest.raises(BlockingIOError):
        add_up_dead(str(tmp_path), 1)


def test_a_worker_whose_counts_could_not_be_added_up_is_tried_again_with_the_next() -> None:
    faults: list[Exception] = [OSError("no room"), ValueError("a torn file")]
    tried = []

    def add_up(folder: str, pid: int) -> None:
        tried.append(pid)
        if faults:
            raise faults.pop(0)

    dead = DeadWorkers("", logging.getLogger().warning, add_up)
    for pid in (1, 2, 3):
        dead.ended(pid, {})
    assert tried == [1, 1, 2, 3]


def test_the_folder_goes_with_the_process_that_made_it_and_not_with_a_copy(tmp_path: Path) -> None:
    code = FOLDER.format([str(tmp_path)])
    count = f"print(len(os.listdir({str(tmp_path)!r})))"
    fork = f"{code}\nimport os\nif os.fork(): os.wait(); {count}"
    _, printed, _ = python(fork)
    assert printed.splitlines()[-1] == "1"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("folders", "sentence"),
    [(["/proc/none", "{}"], ""), (["/proc/none"], "error: no folder for temporary files")],
    ids=["the next", "none"],
)
def test_a_folder_that_cannot_be_written_is_passed_over(
    tmp_path: Path, folders: list[str], sentence: str
) -> None:
    _, printed, complaint = python(FOLDER.format([name.format(tmp_path) for name in folders]))
    assert complaint.startswith(sentence)
    assert printed.startswith("" if sentence else str(tmp_path))


def test_heartbeats_are_in_memory_where_it_can_be_written(tmp_path: Path) -> None:
    assert heartbeat_folder(str(tmp_path)) == str(tmp_path)
    assert heartbeat_folder(str(tmp_path / "none")) is None
