"""Snapshot bodies from outside: off the wire, or out of a file an operator kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from server.cli.failures import ExitCode, Failure
from server.cli.records import BLOCKS, records, rules


def parse_snapshot(body: bytes) -> dict[str, Any]:
    """The parsed envelope. Raises ValueError saying why it is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")
    missing = [name for name in BLOCKS if name not in value]
    if missing:
        raise ValueError(f"has no {', '.join(missing)}: it is no snapshot")
    try:
        for name in BLOCKS:
            records(name, value)
        rules(value)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"is not shaped as a snapshot ({type(error).__name__}: {error})") from None
    return value


def read_earlier(file: str) -> dict[str, Any]:
    """The snapshot in a file, or on stdin for ``-``."""
    where = "what came on stdin" if file == "-" else file
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return parse_snapshot(body)
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.", ExitCode.USAGE) from error
    except ValueError as error:
        raise Failure(
            f"{where} {error}; keep one with `plexsphere-state snapshot NODE --raw > FILE`.",
            ExitCode.USAGE,
        ) from error
