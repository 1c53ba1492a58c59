"""keygen makes keys that the service accepts, and rotates them without losing one."""

from __future__ import annotations

import json
from pathlib import Path

import jwt
import pytest

from server.authn.signing import OwnKeys, signing_document
from server.cli.failures import ExitCode
from tests.command_runs import failed, run

ALGORITHMS = ["EdDSA", "ES256", "RS256"]


def kids(file: Path) -> list[str]:
    """Those that a service would publish, the one that signs first."""
    own = OwnKeys(signing_document(str(file)))
    return [key["kid"] for key in own.jwks()["keys"]]  # type: ignore[attr-defined]


def keygen(file: Path, *options: str) -> list[str]:
    result = run("keygen", str(file), *options)
    assert result.exit_code == ExitCode.OK, result.stderr
    return result.stdout.split()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_new_key_signs_and_its_file_is_its_owners_alone(tmp_path: Path, algorithm: str) -> None:
    file = tmp_path / "key.json"
    printed = keygen(file, "--algorithm", algorithm)
    assert printed == kids(file) and len(printed) == 1
    assert file.stat().st_mode & 0o777 == 0o600
    assert OwnKeys(signing_document(str(file))).signing_key().public.algorithm == algorithm


def test_the_jwks_has_the_public_keys_and_no_private_part(tmp_path: Path) -> None:
    file, jwks = tmp_path / "key.json", tmp_path / "jwks.json"
    keygen(file)
    printed = keygen(file, "--step", "add", "--jwks", str(jwks))
    published = json.loads(jwks.read_text())["keys"]
    assert [key["kid"] for key in published] == printed
    assert not any("d" in key for key in published)
    assert jwks.stat().st_mode & 0o777 == 0o644


def test_the_private_part_is_not_printed(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    result = run("keygen", str(file))
    assert json.loads(file.read_text())["d"] not in result.stdout + result.stderr


def test_a_rotation_adds_promotes_and_retires_a_key(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    (old,) = keygen(file)
    added = keygen(file, "--step", "add", "--algorithm", "ES256")
    assert added == kids(file) and added[0] == old and len(added) == 2
    new = added[1]
    assert keygen(file, "--step", "promote") == kids(file) == [new, old]
    assert keygen(file, "--step", "retire") == kids(file) == [new]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["key.json"]


def test_promote_may_be_repeated(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    (old,) = keygen(file)
    _, new = keygen(file, "--step", "add")
    for _ in range(2):
        assert keygen(file, "--step", "promote") == [new, old]


def test_the_jwks_beside_the_keys_follows_each_step(tmp_path: Path) -> None:
    """As `init` wrote it; what has keys of others stays as it is."""
    file, jwks = tmp_path / "key.json", tmp_path / "jwks.json"
    keygen(file, "--jwks", str(jwks))
    for step in ("add", "promote", "retire"):
        printed = keygen(file, "--step", step)
        assert [key["kid"] for key in json.loads(jwks.read_text())["keys"]] == printed
    theirs = '{"keys": [{"kid": "of another issuer"}]}'
    jwks.write_text(theirs)
    result = run("keygen", str(file), "--step", "add")
    assert f"left {jwks} as it is" in result.stderr
    assert jwks.read_text() == theirs


def test_a_rotation_keeps_the_owner_and_mode_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    keygen(file)
    file.chmod(0o640)
    keygen(file, "--step", "add")
    assert file.stat().st_mode & 0o777 == 0o640


def test_an_existing_key_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    before = keygen(file)
    assert "exists" in failed(run("keygen", str(file)), ExitCode.USAGE)
    assert kids(file) == before


def test_a_file_without_a_key_stays_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text('{"kty":"oct","k":"c2VjcmV0"}')
    result = failed(run("keygen", str(file), "--step", "add"), ExitCode.USAGE)
    assert "symmetric" in result and "c2VjcmV0" not in result
    assert file.read_text() == '{"kty":"oct","k":"c2VjcmV0"}'


def test_a_rotation_without_a_file_is_refused(tmp_path: Path) -> None:
    result = run("keygen", str(tmp_path / "none.json"), "--step", "add")
    assert "none.json" in failed(result, ExitCode.USAGE)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_token_command_signs_with_the_first_key_of_any_kind(
    tmp_path: Path, algorithm: str
) -> None:
    file = tmp_path / "key.json"
    first = keygen(file, "--algorithm", algorithm)[0]
    keygen(file, "--step", "add")
    for setting in (str(file), file.read_text()):
        result = run("token", "user:ada", PLEXSPHERE_SIGNING_KEY=setting)
        assert result.exit_code == ExitCode.OK, result.stderr
        header = jwt.get_unverified_header(result.stdout.strip())
        assert (header["kid"], header["alg"]) == (first, algorithm)
