"""Answers are compressed where the caller asks, and a small one is not."""

from __future__ import annotations

import gzip

import pytest

from composer.snapshot_composer import SnapshotComposer
from tests.factories import DOMAIN, peer_row
from tests.fakes import FakeBodyHistory, FakeDropReporter, FakeLedger
from tests.ports.in_process import FakeService

CORRELATION = {"X-Correlation-Id": "one"}
GZIP = CORRELATION | {"Accept-Encoding": "gzip"}


def service_of(nodes: int, history: FakeBodyHistory | None = None) -> FakeService:
    ledger = FakeLedger.of(DOMAIN, [peer_row(number) for number in range(1, nodes + 1)])
    composer = SnapshotComposer(ledger, FakeDropReporter())
    return FakeService(snapshots=composer, **({"history": history} if history else {}))


@pytest.fixture
def service() -> FakeService:
    return service_of(300)


def test_a_gzip_answer_inflates_to_exactly_the_plain_one(service: FakeService) -> None:
    plain, packed = service.pull(headers=CORRELATION), service.pull(headers=GZIP)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.data) < len(plain.data)
    assert gzip.decompress(packed.data) == plain.data
    differ = ("Content-Encoding", "Content-Length")
    assert [header for header in packed.headers if header[0] not in differ] == [
        header for header in plain.headers if header[0] not in differ
    ]


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "gzip;q=0, *", "*;q=0"])
def test_who_does_not_ask_gets_it_plain(service: FakeService, accepted: str) -> None:
    answer = service.pull(headers=CORRELATION | {"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers
    assert answer.data.startswith(b'{"peers":[')


@pytest.mark.parametrize("accepted", ["gzip", "GZIP", "br, gzip;q=0.5", "identity, gzip"])
def test_who_asks_gets_it_compressed(service: FakeService, accepted: str) -> None:
    answer = service.pull(headers=CORRELATION | {"Accept-Encoding": accepted})
    assert answer.headers["Content-Encoding"] == "gzip"


def test_a_small_answer_is_not_compressed() -> None:
    answer = service_of(3).pull(headers=GZIP)
    assert "Content-Encoding" not in answer.headers
    assert answer.data.startswith(b'{"peers":[')


def test_the_history_has_the_plain_body() -> None:
    history = FakeBodyHistory()
    service = service_of(300, history)
    service.pull(headers=GZIP)
    assert [body for *_, body in history.bodies] == [service.pull(headers=CORRELATION).data]
