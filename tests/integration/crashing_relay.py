"""A relay that is killed after SpiceDB took the rows and before Postgres knows.

python -m tests.integration.crashing_relay DSN SPICEDB_PORT KEY
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from composer.deadline import Deadline
from db.outbox import Claim, PostgresOutbox
from server.authz.channel import SpiceDbChannel
from server.authz.endpoint import SpiceDbEndpoint
from server.authz.outbox_relay import SpiceDbOutboxRelay
from server.authz.tuples import TupleWriter
from server.dev.ports import HOST


def die(*_: Any, **named: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(dsn: str, port: str, key: str) -> None:
    Claim.drained = die  # type: ignore[method-assign]
    channel = SpiceDbChannel(SpiceDbEndpoint(f"{HOST}:{port}", key, insecure=True), timeout=5)
    relay = SpiceDbOutboxRelay(
        PostgresOutbox(dsn, 1, 10.0, 1.0), TupleWriter(channel), lambda row, because: None
    )
    relay.drain(100, Deadline.after(10, time.monotonic))


if __name__ == "__main__":
    main(*sys.argv[1:])
