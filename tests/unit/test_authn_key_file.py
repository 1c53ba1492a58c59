"""A JWKS file is read again when it has been replaced, and a bad one replaces nothing."""

from pathlib import Path

from server.authn.key_sources import file_keys
from tests.fakes import FakeClock
from tests.key_sources import NEW, OLD
from tests.tokens import es256_key, jwks, write_jwks


def test_a_file_that_is_replaced_is_used_within_a_second(tmp_path: Path) -> None:
    clock = FakeClock()
    path = write_jwks(tmp_path / "jwks.json", OLD)
    keys = file_keys(path, clock=clock)
    assert set(keys.current().by_kid) == {"old"}
    write_jwks(path, NEW, es256_key())
    clock.now += 0.9
    assert set(keys.current().by_kid) == {"old"}
    clock.now += 0.1
    assert set(keys.current().by_kid) == {"new", "es"}


def test_a_file_that_is_gone_or_half_written_keeps_the_old_set(tmp_path: Path) -> None:
    clock = FakeClock()
    path = write_jwks(tmp_path / "jwks.json", OLD)
    keys = file_keys(path, clock=clock)
    keys.current()
    path.unlink()
    clock.now += 1
    assert set(keys.current().by_kid) == {"old"}
    assert "FileNotFoundError" in keys.describe()[1]
    path.write_bytes(jwks(NEW)[:40])
    clock.now += 1
    assert set(keys.current().by_kid) == {"old"}
    path.write_bytes(jwks(NEW))
    clock.now += 1
    assert set(keys.current().by_kid) == {"new"}


def test_an_unchanged_file_is_not_parsed_again(tmp_path: Path) -> None:
    clock = FakeClock()
    keys = file_keys(write_jwks(tmp_path / "jwks.json", OLD), clock=clock)
    before = keys.current()
    clock.now += 1
    assert keys.current() is before
