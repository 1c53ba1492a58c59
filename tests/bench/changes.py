"""Changes of a Domain's peers, behind the service's back, at a pace."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2

from tests.bench.served import Served

# Of the sample's Nodes one that has all its parts.
CHANGED = 1


@contextmanager
def changing(served: Served, per_second: float) -> Iterator[None]:
    """One Node gets another public key, so many times a second."""
    over = threading.Event()

    def change() -> None:
        with closing(psycopg2.connect(served.env["PLEXSPHERE_DSN"])) as connection:
            connection.autocommit = True
            began, number = time.monotonic(), 0
            while not over.wait(max(0.0, began + number / per_second - time.monotonic())):
                with connection.cursor() as cursor:
                    cursor.execute(
                        "UPDATE plexsphere.nodes SET public_key = %s WHERE id = %s",
                        (os.urandom(32), served.node(CHANGED)),
                    )
                number += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
