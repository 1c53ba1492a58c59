"""Event keys: the fake of the port, and the encryption of their private halves."""

from __future__ import annotations

from base64 import b64encode

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from composer.errors import DatastoreUnavailable, SigningUnavailable
from composer.event_keys import NewEventKey, StoredEventKey
from server.events.keys import EncryptedEventKeys, new_kek, parse_keks
from tests.credential_fakes import FakeEventKeys
from tests.factories import DOMAIN
from tests.ports.event_keys import OTHER_DOMAIN, EventKeysSuite

KEK, OTHER = bytes(range(32)), bytes(32)


class KeysOfDomains:
    def __init__(self) -> None:
        self.event_keys = FakeEventKeys({DOMAIN, OTHER_DOMAIN})

    def go_away(self) -> None:
        self.event_keys.fails = DatastoreUnavailable("away")


class TestFakeEventKeys(EventKeysSuite):
    @pytest.fixture
    def facts(self) -> KeysOfDomains:
        return KeysOfDomains()


def test_the_private_half_decrypts_to_the_key_of_the_public_half() -> None:
    new = EncryptedEventKeys(KEK).new(DOMAIN)
    nonce, encrypted = new.encrypted_private_key[:12], new.encrypted_private_key[12:]
    private = AESGCM(KEK).decrypt(nonce, encrypted, DOMAIN.bytes + new.public_key)
    key = Ed25519PrivateKey.from_private_bytes(private)
    assert key.public_key().public_bytes_raw() == new.public_key
    with pytest.raises(InvalidTag):
        AESGCM(KEK).decrypt(nonce, encrypted, OTHER_DOMAIN.bytes + new.public_key)


def stored(new: NewEventKey, encrypted: bytes) -> StoredEventKey:
    return StoredEventKey(new.id, new.public_key, encrypted, 0, None)


def test_a_key_goes_from_one_kek_to_the_next_and_stays_the_same() -> None:
    old, both, new = (EncryptedEventKeys(*keks) for keks in ((KEK,), (OTHER, KEK), (OTHER,)))
    made = old.new(DOMAIN)
    before = stored(made, made.encrypted_private_key)
    assert old.re_encrypted(DOMAIN, before) is None
    encrypted = both.re_encrypted(DOMAIN, before)
    assert encrypted is not None
    after = stored(made, encrypted)
    assert both.re_encrypted(DOMAIN, after) is None
    signed = [
        source.signer(DOMAIN, key).sign(b"event")
        for source, key in ((old, before), (both, before), (both, after), (new, after))
    ]
    assert len(set(signed)) == 1
    for source, key in ((old, after), (new, before)):
        with pytest.raises(SigningUnavailable):
            source.signer(DOMAIN, key)


def test_no_key_and_no_nonce_comes_twice() -> None:
    made = [EncryptedEventKeys(KEK).new(DOMAIN) for _ in range(8)]
    assert len({new.public_key for new in made}) == 8
    assert len({new.encrypted_private_key[:12] for new in made}) == 8


def test_a_new_kek_is_a_setting() -> None:
    assert [len(kek) for kek in parse_keks(f"{new_kek()},{new_kek()}")] == [32, 32]


@pytest.mark.parametrize(
    "text",
    ["A" * 44, b64encode(bytes(31)).decode(), b64encode(KEK).decode().rstrip("="), "%" * 44]
    + [",".join(["A" * 43 + "="] * 3), "A" * 43 + "=,"],
    ids=["33 bytes", "31 bytes", "no padding", "not base64", "three", "an empty one"],
)
def test_another_text_is_no_kek(text: str) -> None:
    with pytest.raises(ValueError):
        parse_keks(text)
