"""The lock files and the bootstrap hold what a bare machine needs, and name no registry."""

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))


def test_there_is_a_lock_for_each_set_of_packages() -> None:
    assert LOCKS == [
        "requirements-clients.lock",
        "requirements-dev.lock",
        "requirements-node.lock",
        "requirements-test.lock",
        "requirements-tools.lock",
        "requirements.lock",
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_hash_and_no_host(name: str) -> None:
    text = (ROOT / name).read_text()
    pins = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE | re.IGNORECASE)[1:]
    assert pins
    assert [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin] == []
    assert re.findall(r"://|--index-url|--find-links", text) == []


def test_the_npm_lock_names_no_place_to_fetch_from() -> None:
    assert '"resolved"' not in (ROOT / "package-lock.json").read_text()


def test_pips_wheel_is_the_one_that_was_checked_in() -> None:
    expected, name = (ROOT / "deploy/bootstrap/SHA256SUMS").read_text().split()
    wheel = (ROOT / "deploy/bootstrap" / name).read_bytes()
    assert hashlib.sha256(wheel).hexdigest() == expected
