"""Where NATS may be, and the keys of its credential files."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.events.endpoint import parse_urls
from server.events.nats import seed_key

# A seed of the NATS documentation, and the public key that its tools print for it.
SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
PUBLIC = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


@pytest.mark.parametrize(
    "text",
    ["nats://127.0.0.1:4222", "nats://[::1]:4222", "tls://a.example:4222,tls://b.example:4222"],
)
def test_urls_of_one_cluster(text: str) -> None:
    assert parse_urls(text) == tuple(text.split(","))


@pytest.mark.parametrize(
    "text",
    [
        "nats://nats.example:4222",
        "nats://127.0.0.1",
        "http://127.0.0.1:4222",
        "nats://user:password@127.0.0.1:4222",
        "nats://127.0.0.1:4222,tls://127.0.0.1:4223",
        "nats://127.0.0.1:99999",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_urls(text)


def test_an_nkey_seed_is_the_private_half_of_its_public_key() -> None:
    key = seed_key(SEED).public_key().public_bytes_raw()
    assert base64.b32decode(PUBLIC)[1:33] == key


def test_a_seed_with_a_fault_is_refused() -> None:
    for faulty in (SEED[:-1], SEED[:20] + "A" + SEED[21:], PUBLIC, "no seed"):
        with pytest.raises(ValueError):
            seed_key(faulty)
    assert isinstance(seed_key(SEED), Ed25519PrivateKey)
