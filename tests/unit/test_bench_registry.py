"""The figures of `make bench-registry`, from its counts."""

from __future__ import annotations

import argparse
import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from tests.bench import registrations
from tests.bench.driver import Driven, drive, read_head, request_bytes
from tests.bench.fleet_status import Ran, median_run, run
from tests.bench.load import read_report
from tests.bench.rates import Rate, rates_table
from tests.bench.registry import numbers
from tests.bench.sweeps import sweep_rows

NOBODY: Any = SimpleNamespace(url="http://127.0.0.1:1", token=lambda subject: "t")


def driven(*latencies: float, seconds: float = 2.0, **others: int) -> Driven:
    return Driven(latencies, others, seconds, seconds / 4)


def shown(table: Table) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


class Server(ThreadingHTTPServer):
    request_queue_size = 64  # with five, the sixth client that comes at once waits for a second


@contextmanager
def server(*answers: int, together: int = 1) -> Iterator[str]:
    """Gives these statuses in turn; 0 is none: it hangs up. No answer before ``together`` ask."""
    turns, meeting = count(), threading.Barrier(together, timeout=20.0)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with suppress(threading.BrokenBarrierError):
                meeting.wait()
            status = 503 if meeting.broken else answers[next(turns) % len(answers)]
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"made")

        def log_message(self, *values: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.server_port}"
        finally:
            found.shutdown()
            thread.join()


def test_only_answers_of_the_wanted_status_count_and_the_others_are_told() -> None:
    kept: list[bytes] = []
    with server(201, 200, 503, 0) as url:
        raw = request_bytes(url, "/", {}, b"{}")
        left = iter([raw] * 8)
        found = drive(url, lambda: next(left, None), 201, 1, 60.0, keep=kept.append)
    assert (len(found.latencies), kept) == (2, [b"made"] * 2)
    assert found.refused == "200: 2, 503: 2, no answer: 2"


def test_clients_send_side_by_side() -> None:
    with server(201, together=4) as url:
        left = iter([request_bytes(url, "/", {}, b"{}")] * 12)
        found = drive(url, lambda: next(left, None), 201, 4, 60.0)
    assert (len(found.latencies), found.refused) == (12, "0")


def test_clients_end_in_time_though_there_is_always_a_request_left() -> None:
    with server(201) as url:
        raw = request_bytes(url, "/", {}, b"{}")
        found = drive(url, lambda: raw, 201, 2, 0.1)
    assert found.refused == "0" and found.seconds >= 0.1


def test_load_goes_to_loopback_only() -> None:
    with pytest.raises(ValueError, match="loopback"):
        drive("http://192.0.2.1", lambda: b"", 200, 1, 1.0)


def test_a_rate_is_of_the_wanted_answers_alone() -> None:
    found = driven(0.1, 0.3, 0.2, seconds=2.0, **{"503": 7})
    assert (found.per_second, found.own_share) == (1.5, 0.25)
    assert [found.milliseconds(share) for share in (0.0, 0.5, 0.99)] == [100.0, 200.0, 300.0]
    assert driven().milliseconds(0.99) == 0.0


def test_each_row_is_beside_the_floor_of_as_many_clients() -> None:
    few, many = driven(*[0.1] * 10), driven(*[0.1] * 40)
    rates = [Rate("floor", 1, few), Rate("x", 1, driven(*[0.1] * 5))]
    rates += [Rate("floor", 32, many), Rate("y", 32, driven(*[0.1] * 10))]
    table = shown(rates_table(rates))
    rows = [[cell.strip() for cell in line.split("│")[1:5]] for line in table.splitlines()[3:7]]
    assert [row[3] for row in rows] == ["1.000", "0.500", "1.000", "0.250"]


def test_a_head_says_status_and_length_or_is_refused() -> None:
    assert read_head(b"HTTP/1.1 201 CREATED\r\nContent-length: 17\r\n\r\n") == ("201", 17)
    with pytest.raises(ValueError, match="length"):
        read_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def test_every_client_registers_once_in_each_empty_domain_and_then_no_more() -> None:
    source = registrations.dealt(NOBODY, ["a", "b"], clients=2)
    paths = [raw.split(b" ")[1] for raw in iter(source, None) if raw]
    assert paths == [b"/v1/domains/a/nodes"] * 2 + [b"/v1/domains/b/nodes"] * 2
    assert source() is None


def test_no_two_registrations_share_a_key() -> None:
    source = registrations.registrations(NOBODY, "a")
    assert len({source() for _ in range(50)}) == 50


def test_a_sweep_has_median_fastest_and_slowest() -> None:
    row = shown(sweep_rows(7, {"idle": [3.0, 1.0, 2.0, 9.0, 2.5]})).splitlines()[3]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["idle", "2.5", "1.0", "9.0"]


def test_wall_and_cpu_have_a_median_each() -> None:
    assert median_run([Ran(10, 9), Ran(30, 1), Ran(20, 5)]) == "20 (5)"


def test_a_command_is_timed_with_its_own_cpu_and_one_that_shows_nothing_ends_the_bench() -> None:
    work = "import time\nwhile time.process_time() < .1: 0\nprint(1)"
    burnt = run([sys.executable, "-S", "-c", work])
    assert burnt.cpu >= 95 and burnt.wall >= 95
    with pytest.raises(SystemExit, match="2"):
        run([sys.executable, "-S", "-c", "raise SystemExit(2)"])


REPORT = """Running 1s test @ http://127.0.0.1:1
  1 threads and 16 connections
  Latency Distribution
     50%  850.00us
     75%    1.00ms
     90%    2.00ms
     99%    1.50s\N{SPACE}
  1900 requests in 2.00s, 4.75MB read
  Socket errors: connect 0, read 1, write 0, timeout 2
  Non-2xx or 3xx responses: 7
Requests/sec:    950.00
"""


def test_a_report_of_wrk_is_read_in_one_unit() -> None:
    found = read_report(REPORT, cpu=0.25)
    assert (found.per_second, found.p50_ms, found.p99_ms) == (950.0, 0.85, 1500.0)
    assert (found.refused, found.broken, found.cpu) == (7, 3, 0.25)


def test_what_is_no_report_of_wrk_is_no_figure() -> None:
    with pytest.raises(ValueError, match="no report"):
        read_report("unable to connect", cpu=0.0)


@pytest.mark.parametrize("text", ["-1", "5,50001"])
def test_what_a_bench_is_asked_for_is_bounded(text: str) -> None:
    assert numbers(0, 50_000)("0,50000") == [0, 50_000]
    with pytest.raises(argparse.ArgumentTypeError):
        numbers(0, 50_000)(text)
