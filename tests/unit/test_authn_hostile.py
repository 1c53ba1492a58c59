"""Gate 1: every hostile form of a token and of its header names nobody."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable

import pytest

from server.authn.tokens import TokenFault
from tests.hostile_tokens import (
    ED,
    ES,
    NODE,
    NOW,
    RS,
    STRANGER,
    duplicate,
    good,
    in_der,
    other_last_bits,
    pem,
    signature_of_other_claims,
    signed_by_hmac,
    spoilt,
    unsigned,
    with_claims_bytes,
    with_header,
    with_header_bytes,
)
from tests.tokens import (
    AUDIENCE,
    ISSUER,
    LEEWAY_S,
    NODE_ID,
    Door,
    b64,
    claims,
    dumps,
    header,
    token,
    token_of_length,
)

HOSTILE_TOKENS: dict[str, tuple[Callable[[], str], TokenFault]] = {
    # algorithms
    "none": (lambda: unsigned("none"), TokenFault.ALGORITHM),
    "None in another case": (lambda: unsigned("nOnE"), TokenFault.ALGORITHM),
    "alg missing": (lambda: with_header(alg=...), TokenFault.ALGORITHM),
    "alg null": (lambda: unsigned(None), TokenFault.ALGORITHM),
    "alg a list": (lambda: unsigned(["EdDSA"]), TokenFault.ALGORITHM),
    "an allowed alg without a signature": (lambda: unsigned("EdDSA"), TokenFault.BAD_SIGNATURE),
    "HMAC with the RSA public key": (
        lambda: signed_by_hmac(pem(RS), "rs"),
        TokenFault.ALGORITHM,
    ),
    "HMAC with the Ed25519 key": (
        lambda: signed_by_hmac(urlsafe_b64decode(ED.jwk["x"] + "="), "ed"),
        TokenFault.ALGORITHM,
    ),
    "HMAC bytes called EdDSA": (
        lambda: signed_by_hmac(pem(ED), "ed", alg="EdDSA"),
        TokenFault.BAD_SIGNATURE,
    ),
    "HS512": (lambda: with_header(alg="HS512"), TokenFault.ALGORITHM),
    "PS256": (lambda: with_header(alg="PS256"), TokenFault.ALGORITHM),
    "ES256 claimed for an Ed25519 key": (
        lambda: with_header(alg="ES256"),
        TokenFault.KEY_MISMATCH,
    ),
    "RS256 claimed for an Ed25519 key": (
        lambda: with_header(alg="RS256"),
        TokenFault.KEY_MISMATCH,
    ),
    # keys
    "kid missing": (lambda: with_header(kid=...), TokenFault.MALFORMED_HEADER),
    "kid a number": (lambda: with_header(kid=1), TokenFault.MALFORMED_HEADER),
    "kid empty": (lambda: with_header(kid=""), TokenFault.MALFORMED_HEADER),
    "kid too long": (lambda: with_header(kid="k" * 257), TokenFault.MALFORMED_HEADER),
    "kid with a newline": (lambda: with_header(kid="ed\n"), TokenFault.MALFORMED_HEADER),
    "kid with a NUL": (lambda: with_header(kid="ed\0"), TokenFault.MALFORMED_HEADER),
    "kid beyond ASCII": (lambda: with_header(kid="éd"), TokenFault.MALFORMED_HEADER),
    "kid a path": (lambda: with_header(kid="../../../../dev/null"), TokenFault.UNKNOWN_KEY),
    "kid a URL": (lambda: with_header(kid="https://evil.test/k"), TokenFault.UNKNOWN_KEY),
    "kid an SQL text": (lambda: with_header(kid="x' OR '1'='1"), TokenFault.UNKNOWN_KEY),
    "kid of nobody": (lambda: with_header(kid="other"), TokenFault.UNKNOWN_KEY),
    "kid in another case": (lambda: with_header(kid="ED"), TokenFault.UNKNOWN_KEY),
    "kid of another key": (lambda: token(STRANGER, now=NOW), TokenFault.BAD_SIGNATURE),
    "embedded jwk": (
        lambda: token(STRANGER, now=NOW, headers={"jwk": STRANGER.jwk}),
        TokenFault.MALFORMED_HEADER,
    ),
    "embedded jwk beside a right signature": (
        lambda: with_header(jwk=ED.jwk),
        TokenFault.MALFORMED_HEADER,
    ),
    "embedded jku": (
        lambda: token(STRANGER, now=NOW, headers={"jku": "https://evil.test/jwks.json"}),
        TokenFault.MALFORMED_HEADER,
    ),
    "embedded x5u": (lambda: with_header(x5u="https://evil.test"), TokenFault.MALFORMED_HEADER),
    "embedded x5c": (lambda: with_header(x5c=["MIIB"]), TokenFault.MALFORMED_HEADER),
    # header
    "crit": (lambda: with_header(crit=["exp"]), TokenFault.MALFORMED_HEADER),
    "empty crit": (lambda: with_header(crit=[]), TokenFault.MALFORMED_HEADER),
    "unencoded payload": (lambda: with_header(b64=False), TokenFault.MALFORMED_HEADER),
    "compressed": (lambda: with_header(zip="DEF"), TokenFault.MALFORMED_HEADER),
    "typ of another token": (lambda: with_header(typ="logout+jwt"), TokenFault.MALFORMED_HEADER),
    "typ null": (lambda: with_header(typ=None), TokenFault.MALFORMED_HEADER),
    "header a list": (lambda: with_header_bytes(b'["EdDSA"]'), TokenFault.MALFORMED_HEADER),
    "header no JSON": (lambda: with_header_bytes(b"{"), TokenFault.MALFORMED_HEADER),
    "header with a BOM": (
        lambda: with_header_bytes(b"\xef\xbb\xbf" + dumps(header(ED))),
        TokenFault.MALFORMED_HEADER,
    ),
    "header with alg twice": (
        lambda: with_header_bytes(b'{"alg":"none","alg":"EdDSA","kid":"ed"}'),
        TokenFault.MALFORMED_HEADER,
    ),
    "header in UTF-16": (
        lambda: with_header_bytes(json.dumps(header(ED)).encode("utf-16")),
        TokenFault.MALFORMED_HEADER,
    ),
    # form
    "two parts": (lambda: good().rpartition(".")[0], TokenFault.MALFORMED_TOKEN),
    "four parts": (lambda: good() + ".AAAA", TokenFault.MALFORMED_TOKEN),
    "five parts, as a JWE": (lambda: good() + ".AAAA.AAAA", TokenFault.MALFORMED_TOKEN),
    "three empty parts": (lambda: "..", TokenFault.MALFORMED_HEADER),
    "a node secret instead of a JWT": (lambda: "A" * 43 + "=", TokenFault.NOT_BEARER),
    "padding": (lambda: good() + "==", TokenFault.NOT_BEARER),
    "standard base64": (lambda: spoilt(2, lambda part: "+/" + part[2:]), TokenFault.NOT_BEARER),
    "left-over bits in the signature": (
        lambda: spoilt(2, other_last_bits),
        TokenFault.MALFORMED_TOKEN,
    ),
    "an impossible length": (
        lambda: spoilt(0, lambda part: "A" * 5),
        TokenFault.MALFORMED_TOKEN,
    ),
    "a signature cut short": (
        lambda: f"{good().rpartition('.')[0]}.{b64(bytes(60))}",
        TokenFault.BAD_SIGNATURE,
    ),
    "a signature of other claims": (signature_of_other_claims, TokenFault.BAD_SIGNATURE),
    "an ECDSA signature in DER": (in_der, TokenFault.BAD_SIGNATURE),
    "an ECDSA signature of zeros": (
        lambda: f"{good(ES).rpartition('.')[0]}.{b64(bytes(64))}",
        TokenFault.BAD_SIGNATURE,
    ),
    "8,000 bytes, rightly signed": (lambda: token_of_length(ED, 8000, NOW), TokenFault.TOO_LONG),
    "one byte more than allowed": (lambda: token_of_length(ED, 4097, NOW), TokenFault.TOO_LONG),
    # claims
    "claims a list": (lambda: with_claims_bytes(b"[]"), TokenFault.MALFORMED_CLAIMS),
    "claims no JSON": (lambda: with_claims_bytes(b"sub"), TokenFault.MALFORMED_CLAIMS),
    "claims not UTF-8": (
        lambda: with_claims_bytes(b'{"sub":"\xff"}'),
        TokenFault.MALFORMED_CLAIMS,
    ),
    "claims nested 1,400 deep": (
        lambda: with_claims_bytes(b'{"a":' + b"[" * 1400 + b"]" * 1400 + b"}"),
        TokenFault.MALFORMED_CLAIMS,
    ),
    "claims nested 9 deep": (
        lambda: good(deep=[[[[[[[[1]]]]]]]]),
        TokenFault.MALFORMED_CLAIMS,
    ),
    "sub twice": (
        lambda: with_claims_bytes(duplicate("sub", "user:root", f"node:{NODE_ID}")),
        TokenFault.MALFORMED_CLAIMS,
    ),
    "exp twice": (
        lambda: with_claims_bytes(duplicate("exp", NOW - 999, NOW + 999)),
        TokenFault.MALFORMED_CLAIMS,
    ),
    "a duplicate further in": (
        lambda: with_claims_bytes(dumps(claims(now=NOW))[:-1] + b',"act":{"a":1,"a":2}}'),
        TokenFault.MALFORMED_CLAIMS,
    ),
    "a lone surrogate in an unused claim": (
        lambda: with_claims_bytes(dumps(claims(now=NOW))[:-1] + b',"x":"\\ud800"}'),
        TokenFault.MALFORMED_CLAIMS,
    ),
    "a lone surrogate in a name": (
        lambda: with_claims_bytes(dumps(claims(now=NOW))[:-1] + b',"\\udfff":1}'),
        TokenFault.MALFORMED_CLAIMS,
    ),
    "NaN": (
        lambda: with_claims_bytes(dumps(claims(now=NOW, exp=float("nan")))),
        TokenFault.MALFORMED_CLAIMS,
    ),
    "iss missing": (lambda: good(iss=...), TokenFault.ISSUER),
    "iss wrong": (lambda: good(iss=ISSUER + "/"), TokenFault.ISSUER),
    "iss a list with the right one": (lambda: good(iss=[ISSUER]), TokenFault.ISSUER),
    "aud missing": (lambda: good(aud=...), TokenFault.AUDIENCE),
    "aud wrong": (lambda: good(aud="other"), TokenFault.AUDIENCE),
    "aud empty": (lambda: good(aud=[]), TokenFault.AUDIENCE),
    "aud a list without us": (lambda: good(aud=["a", "b"]), TokenFault.AUDIENCE),
    "aud a part of the right one": (lambda: good(aud=AUDIENCE[:-1]), TokenFault.AUDIENCE),
    "aud an object": (lambda: good(aud={AUDIENCE: True}), TokenFault.AUDIENCE),
    "aud a list of more than texts": (lambda: good(aud=[AUDIENCE, 1]), TokenFault.AUDIENCE),
    "exp missing": (lambda: good(exp=...), TokenFault.MALFORMED_CLAIMS),
    "exp null": (lambda: good(exp=None), TokenFault.MALFORMED_CLAIMS),
    "exp a text": (lambda: good(exp=str(int(NOW) + 99)), TokenFault.MALFORMED_CLAIMS),
    "exp true": (lambda: good(exp=True), TokenFault.MALFORMED_CLAIMS),
    "exp infinite": (
        lambda: with_claims_bytes(dumps(claims(now=NOW, exp=...))[:-1] + b',"exp":1e999}'),
        TokenFault.MALFORMED_CLAIMS,
    ),
    "exp of 400 digits": (lambda: good(exp=10**400), TokenFault.MALFORMED_CLAIMS),
    "expired": (lambda: good(exp=NOW - LEEWAY_S), TokenFault.EXPIRED),
    "expired long ago": (lambda: good(exp=0), TokenFault.EXPIRED),
    "not yet valid": (lambda: good(nbf=NOW + LEEWAY_S + 1), TokenFault.NOT_YET_VALID),
    "nbf a text": (lambda: good(nbf="0"), TokenFault.MALFORMED_CLAIMS),
    "issued in the future": (lambda: good(iat=NOW + LEEWAY_S + 1), TokenFault.NOT_YET_VALID),
    "iat null": (lambda: good(iat=None), TokenFault.MALFORMED_CLAIMS),
    "iat false": (lambda: good(iat=False), TokenFault.MALFORMED_CLAIMS),
    # subjects
    "sub missing": (lambda: good(sub=...), TokenFault.SUBJECT),
    **{
        f"sub {sub!r}": (lambda sub=sub: good(sub=sub), TokenFault.SUBJECT)  # type: ignore[misc]
        for sub in [
            None,
            1,
            [f"node:{NODE_ID}"],
            "",
            ":",
            "node",
            "node:",
            "user:",
            NODE_ID,
            f"Node:{NODE_ID}",
            f"node:{NODE_ID.upper()}",
            f"node:{{{NODE_ID}}}",
            f"node:urn:uuid:{NODE_ID}",
            f"node:{NODE_ID.replace('-', '')}",
            "node:00000000-0000-0000-0000-000000000000",
            f"node:{NODE_ID}\n",
            f" node:{NODE_ID}",
            f"node:{NODE_ID}#agent",
            "node:*",
            "user:*",
            "user:ann ",
            "user:ann\n",
            "user:ann\0",
            "user:ann@example.test",
            "user:a.b",
            "user:a:b",
            "user:änn",
            "user:٣",
            "user:" + "a" * 129,
            "admin:ann",
            "domain:x",
            "platform:plexsphere",
            "service-identity:x",
        ]
    },
}


@pytest.mark.parametrize("name", HOSTILE_TOKENS)
def test_a_hostile_token_is_nobody_where_a_good_one_is_somebody(name: str) -> None:
    make, reason = HOSTILE_TOKENS[name]
    door = Door(ED, ES, RS, now=NOW)
    for key in (ED, ES, RS):
        assert door.ask(f"Bearer {good(key)}") == NODE
    assert door.ask(f"Bearer {make()}") is None
    assert door.reasons == [reason]
