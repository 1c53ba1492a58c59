"""Settings: read once, complained about all together and by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server.authn.signing import new_key, write_key_file
from server.cli.settings import page
from server.settings import Settings, SettingsError, declared_settings, read_settings
from tests.tokens import SigningKey, ed25519_key, jwks, rs256_key

P = "PLEXSPHERE_"
REQUIRED = ["SPICEDB_ENDPOINT", "SPICEDB_TOKEN", "JWKS", "JWT_ISSUER", "JWT_AUDIENCE"]


@pytest.fixture
def sound(tmp_path: Path) -> dict[str, str]:
    """An environment that boots, provisioned."""
    keys = tmp_path / "jwks.json"
    keys.write_bytes(jwks(ed25519_key()))
    return {
        P + "DSN": "postgresql://reader@127.0.0.1:5432/plexsphere",
        P + "SPICEDB_ENDPOINT": "127.0.0.1:50051",
        P + "SPICEDB_TOKEN": "preshared",
        P + "SPICEDB_INSECURE": "1",
        P + "JWKS": str(keys),
        P + "JWT_ISSUER": "https://issuer.test",
        P + "JWT_AUDIENCE": "plexsphere",
    }


def complaints(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        read_settings(environ)
    assert str(refused.value) == "\n".join(refused.value.complaints)
    return refused.value.complaints


def named(environ: dict[str, str]) -> list[str]:
    """The variables complained about, in order."""
    return [complaint.split()[0] for complaint in complaints(environ)]


def test_an_empty_environment_boots_unprovisioned() -> None:
    assert read_settings({}) == Settings()


def test_an_empty_dsn_is_not_provisioned() -> None:
    assert read_settings({P + "DSN": ""}).provisioned is False


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_variable_is_an_unset_one(blank: str) -> None:
    assert read_settings({P + "DSN": blank, P + "WORKERS": blank}) == Settings()


def test_without_a_dsn_nothing_else_is_required(sound: dict[str, str]) -> None:
    del sound[P + "DSN"], sound[P + "JWKS"]
    assert read_settings(sound).provisioned is False


def test_a_service_with_a_signing_key_may_trust_that_key_alone(
    sound: dict[str, str], tmp_path: Path
) -> None:
    del sound[P + "JWKS"]
    assert named(sound) == [P + "JWKS"]
    key = tmp_path / "key.json"
    write_key_file(key, [new_key("EdDSA")], like=None)
    assert read_settings(sound | {P + "SIGNING_KEY": str(key)}).jwks == ""


def test_a_sound_environment_is_read_into_one_value(sound: dict[str, str]) -> None:
    read = read_settings(sound | {P + "WORKERS": "4", P + "PULL_DEADLINE": "2.5", P + "AUDIT": "0"})
    seen = (
        read.provisioned,
        read.dsn,
        read.spicedb.address,
        read.spicedb.preshared_key,
        read.spicedb.insecure,
        read.jwt_issuer,
        read.jwt_audience,
        read.workers,
        read.pull_deadline,
        read.audit,
    )
    assert seen == (
        True,
        sound[P + "DSN"],
        "127.0.0.1:50051",
        "preshared",
        True,
        "https://issuer.test",
        "plexsphere",
        4,
        2.5,
        False,
    )


def test_what_is_not_set_has_its_default(sound: dict[str, str]) -> None:
    read, default = read_settings(sound), Settings()
    names = ["spicedb_timeout", "jwt_leeway", "pull_deadline", "statement_timeout", "pool_size",
             "cached_peers", "audit", "audit_queue", "history", "body_warning_bytes",
             "log_format", "log_level", "bind", "workers", "threads"]  # fmt: skip
    assert {n: getattr(read, n) for n in names} == {n: getattr(default, n) for n in names}


def test_the_preshared_key_is_not_shown(sound: dict[str, str]) -> None:
    assert "hunter2" not in repr(read_settings(sound | {P + "SPICEDB_TOKEN": "hunter2"}).spicedb)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_provisioned_service_says_what_it_lacks(sound: dict[str, str], name: str) -> None:
    del sound[P + name]
    assert named(sound) == [P + name]


def test_what_works_on_the_ledger_alone_needs_nothing_else() -> None:
    read = read_settings({P + "DSN": "postgresql://localhost/plexsphere"}, ledger_only=True)
    assert (read.dsn, read.evaluator_interval) == ("postgresql://localhost/plexsphere", 5.0)


@pytest.mark.parametrize("ledger_only", [False, True])
def test_postgres_elsewhere_is_verified_or_a_reason_is_given(
    sound: dict[str, str], ledger_only: bool
) -> None:
    sound[P + "DSN"] = "postgresql://reader:hunter2@db.example/plexsphere"
    with pytest.raises(SettingsError, match="must say sslmode=verify-full") as refused:
        read_settings(sound, ledger_only=ledger_only)
    assert "hunter2" not in str(refused.value)
    sound[P + "UNVERIFIED_POSTGRES"] = "WireGuard between the hosts"
    assert read_settings(sound, ledger_only=ledger_only).provisioned


def test_everything_that_is_missing_is_said_at_once() -> None:
    assert named({P + "DSN": "postgresql://localhost/plexsphere"}) == [
        P + name for name in REQUIRED
    ]


BAD = {
    "DSN": "not a dsn",
    "SPICEDB_ENDPOINT": "no-port",
    "SPICEDB_TOKEN": "with space",
    "JWKS": "/no/such/file",
    "WORKERS": "many",
    "THREADS": "1",
    "PULL_DEADLINE": "0",
    "STATEMENT_TIMEOUT": "nan",
    "SPICEDB_TIMEOUT": "inf",
    "JWT_LEEWAY": "-1",
    "POOL_SIZE": "-1",
    "WRITE_POOL_SIZE": "-1",
    "LOCK_TIMEOUT": "0",
    "CACHED_PEERS": "-5",
    "AUDIT": "yes",
    "AUDIT_QUEUE": "1e3",
    "HISTORY": "101",
    "BODY_WARNING_BYTES": "8MiB",
    "LOG_FORMAT": "xml",
    "LOG_LEVEL": "INFO",
    "BIND": "8080",
    "EVALUATOR_INTERVAL": "7",
    "TRUSTED_PROXIES": "10.0.0.1/8",
    "TEST_CLOCK": "/no/such/file",
}


@pytest.mark.parametrize(
    "sizes",
    [
        {"THREADS": "8", "POOL_SIZE": "8"},
        {"THREADS": "16", "POOL_SIZE": "4", "WRITE_POOL_SIZE": "3"},
        {"SPICEDB_CALLS": "20"},
        {"POOL_SIZE": "6", "WRITE_POOL_SIZE": "3", "SPICEDB_CALLS": "7"},
    ],
    ids=str,
)
def test_places_that_do_not_fit_the_threads_refuse_the_start(
    sound: dict[str, str], sizes: dict[str, str]
) -> None:
    assert named(sound | {P + name: size for name, size in sizes.items()}) == [P + "THREADS"]


@pytest.mark.parametrize("threads", [8, 12, 16, 24, 64, 1024])
@pytest.mark.parametrize("values", [{}, {"POOL_SIZE": "2"}, {"SPICEDB_CALLS": "1"}], ids=str)
def test_what_is_not_given_fits_the_threads(
    sound: dict[str, str], threads: int, values: dict[str, str]
) -> None:
    values = values if threads > 8 else {}
    environ = {P + name: size for name, size in values.items()} | {P + "THREADS": str(threads)}
    shared = read_settings(sound | environ).shared_threads
    assert min(shared.read, shared.write, shared.spicedb, shared.heartbeats) >= 1
    assert shared.needed <= threads
    assert shared.requests + shared.pulls >= shared.read + 2 * shared.write + shared.spicedb


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_setting_is_complained_about_by_name(sound: dict[str, str], name: str) -> None:
    assert named(sound | {P + name: BAD[name]}) == [P + name]


def test_bodies_are_kept_only_beside_the_audit(sound: dict[str, str]) -> None:
    assert named(sound | {P + "HISTORY": "5", P + "AUDIT": "0"}) == [P + "HISTORY"]
    assert read_settings(sound | {P + "HISTORY": "5"}).history == 5


def test_everything_that_is_malformed_is_said_at_once(sound: dict[str, str]) -> None:
    everything = sound | {P + name: value for name, value in BAD.items()}
    assert sorted(named(everything)) == sorted(P + name for name in BAD)


OF_A_PULL = {"DSN", "SPICEDB_ENDPOINT", "SPICEDB_TOKEN", "JWKS"}


@pytest.mark.parametrize("name", [name for name in BAD if name not in OF_A_PULL])
def test_a_malformed_setting_refuses_an_unprovisioned_boot_too(name: str) -> None:
    assert named({P + name: BAD[name]}) == [P + name]


def test_a_complaint_says_what_was_expected(sound: dict[str, str]) -> None:
    assert complaints(sound | {P + "WORKERS": "0"}) == [
        "PLEXSPHERE_WORKERS must be a whole number from 1 to 1024"
    ]


@pytest.mark.parametrize("secret", ["DSN", "SPICEDB_TOKEN", "JWKS", "WORKERS"])
def test_a_complaint_never_shows_the_value(sound: dict[str, str], secret: str) -> None:
    assert "hunter2" not in " ".join(complaints(sound | {P + secret: "hunter2 hunter2"}))


DIGITS = ["9" * 5000, "\u0664", "\u00b2", "+4", "4.0", "0x4", "4_0"]


@pytest.mark.parametrize("digits", DIGITS, ids=lambda text: ascii(text)[:20])
def test_a_whole_number_is_plain_digits(digits: str) -> None:
    assert named({P + "WORKERS": digits}) == [P + "WORKERS"]


@pytest.mark.parametrize(
    "endpoint",
    ["host", ":50051", "host:", "host:0", "host:65536", "host:x", "http://host:50051", "a b:1",
     "host:50051/", "host:\u00b2", "host:" + "9" * 5000, "::1:50051"],
    ids=lambda text: ascii(text)[:30],
)  # fmt: skip
def test_an_endpoint_is_a_host_and_a_port(sound: dict[str, str], endpoint: str) -> None:
    del sound[P + "SPICEDB_INSECURE"]
    assert named(sound | {P + "SPICEDB_ENDPOINT": endpoint}) == [P + "SPICEDB_ENDPOINT"]


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:50051", "localhost:1", "[::1]:50051", "127.8.9.10:65535"]
)
def test_without_tls_loopback_is_spoken_to(sound: dict[str, str], endpoint: str) -> None:
    assert read_settings(sound | {P + "SPICEDB_ENDPOINT": endpoint}).spicedb.insecure is True


@pytest.mark.parametrize(
    "endpoint",
    ["spicedb:50051", "10.0.0.1:50051", "[fd00::1]:50051", "localhost.evil.example:1", "0.0.0.0:1"],
)
def test_without_tls_nothing_else_is_spoken_to(sound: dict[str, str], endpoint: str) -> None:
    assert named(sound | {P + "SPICEDB_ENDPOINT": endpoint}) == [P + "SPICEDB_INSECURE"]


def test_with_tls_any_host_is_spoken_to(sound: dict[str, str]) -> None:
    del sound[P + "SPICEDB_INSECURE"]
    environ = sound | {P + "SPICEDB_ENDPOINT": "spicedb.example:50051"}
    assert read_settings(environ).spicedb.insecure is False


@pytest.mark.parametrize("value", ["yes", "true", "2", "no"])
def test_a_flag_is_0_or_1_and_complained_about_once(sound: dict[str, str], value: str) -> None:
    assert named(sound | {P + "SPICEDB_INSECURE": value}) == [P + "SPICEDB_INSECURE"]


@pytest.mark.parametrize("bind", ["127.0.0.1:8080", "[::]:80", "0.0.0.0:0", "unix:/run/plex.sock"])
def test_an_address_to_listen_on_is_taken(bind: str) -> None:
    assert read_settings({P + "BIND": bind}).bind == bind


NO_ADDRESSES = [
    "8080",
    ":",
    "host:",
    "host:65536",
    "host:http",
    "host:\u00b2",
    "unix:",
    "::1:8080",
    "[x]:80",
]


@pytest.mark.parametrize("bind", NO_ADDRESSES, ids=ascii)
def test_what_is_no_address_to_listen_on_is_refused(bind: str) -> None:
    assert named({P + "BIND": bind}) == [P + "BIND"]


def test_other_variables_are_nobodys_business() -> None:
    assert read_settings({"WORKERS": "x", "PGHOST": "x", P + "URL": "x"}) == Settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        read_settings({}).workers = 9  # type: ignore[misc]


def signing(key: SigningKey) -> str:
    return json.dumps(key.private_jwk)


def test_a_signing_key_is_read_from_a_file_or_on_the_spot(
    sound: dict[str, str], tmp_path: Path
) -> None:
    key = ed25519_key("ours")
    file = tmp_path / "signing-key.json"
    file.write_text(signing(key))
    for setting in (str(file), signing(key)):
        assert read_settings(sound | {P + "SIGNING_KEY": setting}).signing_key == setting


def test_without_a_signing_key_there_is_no_complaint(sound: dict[str, str]) -> None:
    assert read_settings(sound).signing_key == ""


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("/nowhere/signing-key.json", "No such file"),
        ("/", "Is a directory"),
        ('{"kty":"oct","k":"c2VjcmV0","kid":"a"}', "it is symmetric"),
        (signing(rs256_key(bits=1024)), "RSA keys need 2048 to 8192 bits"),
        (json.dumps(ed25519_key().jwk), "it has no private part"),
        (signing(ed25519_key()), "whose kid is that of another key in PLEXSPHERE_JWKS"),
    ],
)
def test_a_signing_key_that_cannot_be_used_is_refused_in_a_sentence_beside_the_others(
    sound: dict[str, str], setting: str, reason: str
) -> None:
    found = complaints(sound | {P + "SIGNING_KEY": setting, P + "WORKERS": "none"})
    assert [complaint.split()[0] for complaint in found] == [P + "SIGNING_KEY", P + "WORKERS"]
    assert reason in found[0] and "c2VjcmV0" not in found[0]


def test_a_signing_key_is_looked_at_without_a_dsn_too() -> None:
    assert named({P + "SIGNING_KEY": "{}"}) == [P + "SIGNING_KEY"]


def test_settings_that_are_printed_do_not_show_the_signing_key(sound: dict[str, str]) -> None:
    key = ed25519_key("ours")
    read = read_settings(sound | {P + "SIGNING_KEY": signing(key)})
    assert key.private_jwk["d"] not in repr(read)


ROOT = Path(__file__).resolve().parents[2]
DECLARED = declared_settings()


def test_the_page_of_settings_is_what_is_declared() -> None:
    written = (ROOT / "docs" / "settings.md").read_text()
    lines = set(written.splitlines()) ^ set(page().splitlines())
    assert sorted(lines) == [], "docs/settings.md is out of date: run `make settings`"
    assert written == page()


@pytest.mark.parametrize("name", DECLARED)
def test_a_default_is_within_its_own_bounds(name: str) -> None:
    setting, default = DECLARED[name]
    assert setting.meaning
    if default not in ("", ()):
        written = str(int(default)) if isinstance(default, bool) else str(default)
        assert setting.parse(written) == default


@pytest.mark.parametrize(
    "name", [name for name, (setting, _) in DECLARED.items() if " to " in setting.bound]
)
def test_a_bound_is_taken_and_what_lies_beyond_is_not(name: str) -> None:
    setting, _ = DECLARED[name]
    low, high = setting.bound.split(" to ")
    assert (setting.parse(low), setting.parse(high)) == (float(low), float(high))
    for beyond in (float(low) - 0.001, float(high) + 0.001, float(high) + 1):
        with pytest.raises(ValueError):
            setting.parse(str(beyond))
