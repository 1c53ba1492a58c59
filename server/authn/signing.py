"""``PLEXSPHERE_SIGNING_KEY``: the service's own keys, their files, and the tokens they sign.

The first private JWK of the setting signs, and the service trusts all of them. A setting that holds
anything but keys that may sign is refused as a whole: a service that started with fewer keys would
refuse tokens that it signed before.
"""

from __future__ import annotations

import json
import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import PyJWK
from jwt.algorithms import get_default_algorithms
from jwt.exceptions import PyJWTError

from composer.errors import SigningUnavailable
from composer.identity import node_object
from composer.node_token import NodeToken
from server.authn.key_documents import (
    DocumentError,
    FileDocument,
    FixedDocument,
    KeyDocument,
)
from server.authn.key_sources import RefreshingKeys
from server.authn.keys import (
    NO_KEYS,
    KeySet,
    KeySource,
    OnWarning,
    VerificationKey,
    algorithm_of,
    ignore_warning,
    parse_key,
    parse_key_set,
)
from server.authn.strict import json_object
from server.replaced_files import replace_file

# 24 h: long enough for an agent to renew its token through an outage of a night, short enough that
# a token from a lost disk is worthless the day after. Revocation does not wait for it (gate 2).
TOKEN_TTL_S = 24 * 3600
# Seconds between two checks of the file: a key that was taken out stays trusted this long.
CHECK_INTERVAL_S = 1.0

# The members of a thumbprint (RFC 7638, RFC 8037), which are also the public part of a key.
_PUBLIC_MEMBERS = {"OKP": ("crv", "x"), "EC": ("crv", "x", "y"), "RSA": ("n", "e")}
_RSA_BITS = 3072  # as strong as the other two
_EXPECTED = (
    "must be a private JWK, or a set of them, as a file or as JSON (Ed25519, P-256 or RSA of at "
    "least 2048 bits)"
)


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """A private key with its public half; ``public_jwk`` is that half as a member of a JWKS."""

    public: VerificationKey
    public_jwk: Mapping[str, str]
    private: Any = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class SigningKeys:
    """At least one key; ``members[0]`` signs."""

    members: tuple[SigningKey, ...]
    trusted: KeySet


def parse_signing_keys(raw: bytes) -> SigningKeys:
    """A private JWK, or a JWK Set of them. The ValueError quotes nothing of the input."""
    document = json_object(raw)
    jwks = document.get("keys", [document])
    if not isinstance(jwks, list) or not jwks:
        raise ValueError("neither a JWK nor a set of them")
    keys: dict[str, SigningKey] = {}
    for index, jwk in enumerate(jwks):
        try:
            key = _parse_signing_key(jwk)
        except ValueError as error:
            raise ValueError(f"key {index} cannot sign: {error}") from None
        if key.public.kid in keys:
            raise ValueError(f"key {index} has the kid of another")
        keys[key.public.kid] = key
    members = tuple(keys.values())
    return SigningKeys(members, KeySet({key.public.kid: key.public for key in members}))


def thumbprint(members: Mapping[str, str]) -> str:
    """The RFC 7638 name of a key: the base64url SHA-256 of its required members."""
    text = json.dumps(dict(sorted(members.items())), separators=(",", ":"))
    return urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()


def public_members(private: Any, algorithm: str) -> dict[str, str]:
    """``kty`` and the public members of a private key, computed from its private part."""
    jwk = get_default_algorithms()[algorithm].to_jwk(private.public_key(), as_dict=True)
    return {name: jwk[name] for name in ("kty", *_PUBLIC_MEMBERS[jwk["kty"]])}


def _parse_signing_key(jwk: object) -> SigningKey:
    if not isinstance(jwk, dict):
        raise ValueError("not an object")
    if jwk.get("kty") == "oct" or "k" in jwk:
        raise ValueError("it is symmetric: every service that checks a token could also make one")
    algorithm = algorithm_of(jwk.get("kty"), jwk.get("crv"))
    if algorithm is None:
        raise ValueError("neither Ed25519, P-256 nor RSA")
    if "d" not in jwk:
        raise ValueError("it has no private part")
    operations = jwk.get("key_ops", ["sign"])
    if not isinstance(operations, list) or "sign" not in operations:
        raise ValueError("its key_ops do not contain sign")
    private = _private_key(jwk, algorithm)
    members = public_members(private, algorithm)
    declared = {"kid": thumbprint(members), "use": "sig", "alg": algorithm}
    declared |= {name: jwk[name] for name in declared if name in jwk}
    public = parse_key({**members, **declared})
    labels = {"kid": public.kid, "use": "sig", "alg": algorithm}
    kty = {"kty": members.pop("kty")}
    return SigningKey(public, {**kty, **labels, **members}, private)


def _private_key(jwk: dict[str, Any], algorithm: str) -> Any:
    try:
        return PyJWK(jwk, algorithm).key
    except (PyJWTError, ValueError, TypeError, KeyError):
        raise ValueError("its numbers make no key") from None


class OwnKeys:
    """A KeySource of the public halves that also returns the key that signs.

    A file that was replaced takes effect without a restart; a file that became unreadable or wrong
    changes nothing and causes a warning. ``clock`` is monotonic seconds. Thread-safe.
    """

    def __init__(
        self,
        document: KeyDocument,
        *,
        on_warning: OnWarning = ignore_warning,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._latest: SigningKeys | None = None
        self._source = RefreshingKeys(
            document,
            refresh_interval=CHECK_INTERVAL_S,
            min_interval=CHECK_INTERVAL_S,
            in_background=False,
            clock=clock,
            on_warning=on_warning,
            parse=self._parse,
        )

    def current(self) -> KeySet:
        """The public halves of the newest usable set."""
        return self._source.current()

    def refreshed_for(self, kid: str) -> KeySet:
        """The set after another check of the file: another worker may know the key already."""
        return self._source.refreshed_for(kid)

    def describe(self) -> tuple[bool, str]:
        """Whether there is a key to sign with, and one line about it."""
        return self._source.describe()

    def signing_key(self) -> SigningKey:
        """The key that signs now. Raises SigningUnavailable before the first usable set."""
        return self._members()[0]

    def jwks(self) -> Mapping[str, object]:
        """The public halves as a JWK Set, that of the signing key first."""
        return {"keys": [key.public_jwk for key in self._members()]}

    def _members(self) -> tuple[SigningKey, ...]:
        self._source.current()
        if self._latest is None:
            raise SigningUnavailable("PLEXSPHERE_SIGNING_KEY cannot be read")
        return self._latest.members

    def _parse(self, raw: bytes, on_warning: OnWarning) -> KeySet:
        self._latest = parse_signing_keys(raw)
        return self._latest.trusted


class JoinedKeys:
    """The keys of PLEXSPHERE_JWKS and the service's own, as one source.

    A kid that both use for different keys names our own key, and the other key verifies nothing: an
    author of the JWKS can neither sign as this service nor shut its Nodes out.
    """

    def __init__(
        self, own: KeySource, others: KeySource, on_warning: OnWarning = ignore_warning
    ) -> None:
        self._own = own
        self._others = others
        self._on_warning = on_warning
        self._joined: tuple[KeySet, KeySet, KeySet] | None = None

    def current(self) -> KeySet:
        """Both sets; the same object while both are the same."""
        return self._join(self._own.current(), self._others.current())

    def refreshed_for(self, kid: str) -> KeySet:
        """Our own keys are checked first: they are a file of this machine."""
        own = self._own.refreshed_for(kid)
        if kid in own.by_kid:
            return self._join(own, self._others.current())
        return self._join(own, self._others.refreshed_for(kid))

    def describe(self) -> tuple[bool, str]:
        """The state of PLEXSPHERE_JWKS: our own keys verify tokens of Nodes only."""
        return self._others.describe()

    def _join(self, own: KeySet, others: KeySet) -> KeySet:
        last = self._joined
        if last is not None and last[0] is own and last[1] is others:
            return last[2]
        for kid in conflicting_kids(own, others):
            self._on_warning(f"kid {kid!r} is that of a signing key: the key set's is not used")
        # NO_KEYS means that there never was a set, and callers compare it by identity.
        is_empty = own is NO_KEYS and others is NO_KEYS
        all_keys = {**others.by_kid, **own.by_kid}
        joined = NO_KEYS if is_empty else KeySet(all_keys, is_partial=others is NO_KEYS)
        self._joined = (own, others, joined)
        return joined


class JwtMint:
    """A TokenMint. ``clock`` is Unix seconds; a token is valid from the second of its minting."""

    def __init__(
        self,
        keys: OwnKeys,
        issuer: str,
        audience: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    def mint(self, node_id: UUID, tokens_not_before: datetime | None) -> NodeToken:
        """See ``composer.node_token.TokenMint``."""
        key = self._keys.signing_key()
        now = int(self._clock())
        # The ledger's clock, which says what is too early, may be ahead of this one.
        earliest = 0 if tokens_not_before is None else int(tokens_not_before.timestamp())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": node_object(node_id),
            "iat": max(now, earliest),
            "nbf": now,
            "exp": now + TOKEN_TTL_S,
            "jti": uuid4().hex,
        }
        headers = {"kid": key.public.kid}
        text = jwt.encode(claims, key.private, algorithm=key.public.algorithm, headers=headers)
        return NodeToken(text, datetime.fromtimestamp(now + TOKEN_TTL_S, UTC))


def own_keys(
    setting: str,
    *,
    on_warning: OnWarning = ignore_warning,
    clock: Callable[[], float] = time.monotonic,
) -> OwnKeys | None:
    """The service's own keys; None where the setting is empty. Reads nothing before first use."""
    if not setting:
        return None
    return OwnKeys(signing_document(setting), on_warning=on_warning, clock=clock)


def signing_document(setting: str) -> KeyDocument:
    """The bytes of the setting: JSON itself, or a file."""
    if setting.startswith("{"):
        return FixedDocument(setting.encode())
    return FileDocument(Path(setting))


def check_signing_setting(setting: str, jwks: str) -> str | None:
    """The fault of the setting, as a sentence that follows its name; None without a fault.

    ``jwks`` is PLEXSPHERE_JWKS. A file of it is compared: a kid that names one key there and
    another key here must be found before the start.
    """
    try:
        keys = parse_signing_keys(signing_document(setting).read() or b"")
    except (DocumentError, ValueError) as error:
        return f"{_EXPECTED}: {error}"
    except OSError as error:
        return f"{_EXPECTED}: {error.strerror or type(error).__name__}"
    if conflicting_kids(keys.trusted, _keys_of_file(jwks)):
        return "has a key whose kid is that of another key in PLEXSPHERE_JWKS"
    return None


def conflicting_kids(own: KeySet, others: KeySet) -> list[str]:
    """The kids that name different keys in the two sets."""
    shared = sorted(own.by_kid.keys() & others.by_kid.keys())
    return [kid for kid in shared if own.by_kid[kid].jwk.key != others.by_kid[kid].jwk.key]


def _keys_of_file(jwks: str) -> KeySet:
    if not jwks or "://" in jwks:
        return NO_KEYS
    try:
        return parse_key_set(FileDocument(Path(jwks)).read() or b"", ignore_warning)
    except (DocumentError, ValueError, OSError):
        return NO_KEYS  # the check of PLEXSPHERE_JWKS itself reports this


def new_key(algorithm: str) -> dict[str, Any]:
    """A private JWK for EdDSA, ES256 or RS256, named by its thumbprint."""
    generate = {
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "RS256": lambda: rsa.generate_private_key(65537, _RSA_BITS),
    }
    private = generate[algorithm]()
    jwk = get_default_algorithms()[algorithm].to_jwk(private, as_dict=True)
    labels = {"kid": thumbprint(public_members(private, algorithm)), "use": "sig"}
    return {**jwk, **labels, "alg": algorithm, "key_ops": ["sign"]}


def read_key_file(file: Path) -> list[dict[str, Any]]:
    """The JWKs of a file that the service would accept, each with its kid.

    Raises ValueError for any other file, and OSError.
    """
    try:
        raw = FileDocument(file).read() or b""
    except DocumentError as error:
        raise ValueError(str(error)) from None
    keys = parse_signing_keys(raw)
    document = json.loads(raw)
    jwks = document.get("keys", [document])
    return [{**jwk, "kid": key.public.kid} for jwk, key in zip(jwks, keys.members, strict=True)]


def write_key_file(file: Path, keys: list[dict[str, Any]], like: os.stat_result | None) -> None:
    """Replace the file atomically: a JWK where there is one key, else a JWK Set.

    Only its owner may read the new file, or the owner, group and mode are those of ``like``, so
    that a service which reads a key in use can go on reading it.
    """
    value: object = keys[0] if len(keys) == 1 else {"keys": keys}
    replace_file(file, json.dumps(value, indent=1).encode(), like=like)


def write_jwks_file(file: Path, key_file: Path) -> None:
    """Replace ``file`` atomically by the public halves of a key file; everybody may read it."""
    keys = parse_signing_keys(key_file.read_bytes())
    public = {"keys": [dict(key.public_jwk) for key in keys.members]}
    replace_file(file, json.dumps(public, indent=1).encode(), mode=0o644)
