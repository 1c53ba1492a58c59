"""The commit that an installed wheel was built from (server/dev/stamp.py writes it)."""

from __future__ import annotations

import json
from importlib import resources

from handlers.service import UNKNOWN


def built_from(name: str) -> str:
    """``commit`` or ``date`` of the build; UNKNOWN in a clone and where the build knew none."""
    stamp = resources.files("server").joinpath("release.json")
    found = json.loads(stamp.read_text("utf-8")) if stamp.is_file() else {}
    return str(found.get(name, UNKNOWN))
