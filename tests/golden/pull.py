"""Pull every golden Node from the database given, in a process of its own: what a worker answers.

Prints a JSON object, body file to the body in hex. `python -m tests.golden.pull DSN`
"""

from __future__ import annotations

import json
import sys

from db.pool import read_pool
from tests.golden import FOLDER, goldens
from tests.pulls import Puller


def bodies(dsn: str) -> dict[str, bytes]:
    """By body file, relative to this folder; a refusal is an empty one."""
    pool = read_pool(dsn, 1, 30.0)
    puller = Puller(pool)
    try:
        return {
            str(golden.body_file(name).relative_to(FOLDER)): puller.pull(node_id).body
            for golden in goldens()
            for name, node_id in golden.pulled.items()
        }
    finally:
        pool.close()


def kept() -> dict[str, bytes]:
    """The expected value of `bodies`."""
    return {str(path.relative_to(FOLDER)): path.read_bytes() for path in FOLDER.glob("*/*.body.*")}


if __name__ == "__main__":
    json.dump({name: body.hex() for name, body in bodies(sys.argv[1]).items()}, sys.stdout)
