"""A key set that is refreshed from a document which a test replaces, holds up or takes away."""

import threading
from pathlib import Path

from server.authn.key_documents import DocumentError
from server.authn.key_sources import RefreshingKeys
from tests.fakes import FakeClock
from tests.tokens import SigningKey, ed25519_key, jwks

OLD, NEW = ed25519_key("old"), ed25519_key("new")


class FakeDocument:
    """Bytes that a test replaces, with a count of reads; ``gate`` holds a read up."""

    def __init__(self, *keys: SigningKey) -> None:
        self.content: bytes | None = jwks(*keys) if keys else None
        self.accepted: bytes | None = None
        self.reads = 0
        self.gate: threading.Event | None = None
        self.entered = threading.Event()

    def hold(self) -> threading.Event:
        """From now on a read waits for the event."""
        self.entered.clear()
        self.gate = threading.Event()
        return self.gate

    def read(self) -> bytes | None:
        self.reads += 1
        gate = self.gate
        self.entered.set()
        if gate is not None:
            assert gate.wait(10)
        if self.content is None:
            raise DocumentError("status 503")
        return None if self.content == self.accepted else self.content

    def accept(self) -> None:
        self.accepted = self.content


class Source:
    """RefreshingKeys over a FakeDocument, refreshed every 300 s and for kids once in 10 s."""

    def __init__(
        self, *keys: SigningKey, in_background: bool = False, kept_in: Path | None = None
    ) -> None:
        self.clock = FakeClock()
        self.document = FakeDocument(*keys)
        self.warnings: list[str] = []
        self.keys = RefreshingKeys(
            self.document,
            refresh_interval=300,
            min_interval=10,
            in_background=in_background,
            clock=self.clock,
            on_warning=self.warnings.append,
            kept_in=kept_in,
        )

    def kids(self) -> set[str]:
        return set(self.keys.current().by_kid)

    def search(self, kid: str) -> set[str]:
        return set(self.keys.refreshed_for(kid).by_kid)


def wait_for(condition: object) -> None:
    """A background thread's result, without a fixed pause."""
    assert callable(condition)
    pause = threading.Event()
    for _ in range(1000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not happen")
