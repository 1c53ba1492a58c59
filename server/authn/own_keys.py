"""``PLEXSPHERE_SIGNING_KEY``: the service's own keys, followed while it runs, and trusted by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from composer.errors import SigningUnavailable
from server.authn.documents import Document, DocumentError, FileDocument, FixedDocument
from server.authn.keys import NO_KEYS, KeySet, KeySource, OnWarning, parse_key_set, unheard
from server.authn.refreshing import RefreshingKeys
from server.authn.signing import SigningKey, SigningKeys, parse_signing_keys

# Seconds between two looks at the file: for so long a key that was taken out is still trusted.
CHECK_INTERVAL_S = 1.0
_EXPECTED = (
    "must be a private JWK, or a set of them, as a file or as JSON (Ed25519, P-256 or RSA of at "
    "least 2048 bits)"
)


def signing_document(setting: str) -> Document:
    """The setting's bytes: JSON on the spot, or a file."""
    if setting.startswith("{"):
        return FixedDocument(setting.encode())
    return FileDocument(Path(setting))


def check_signing_setting(setting: str, jwks: str) -> str | None:
    """What is wrong with the setting, as a sentence that goes on from its name; None if nothing.

    ``jwks`` is PLEXSPHERE_JWKS: a file of it is compared, since a kid that names one key there and
    another here would be mended by nobody once the service runs.
    """
    try:
        keys = parse_signing_keys(signing_document(setting).read() or b"")
    except (DocumentError, ValueError) as error:
        return f"{_EXPECTED}: {error}"
    except OSError as error:
        return f"{_EXPECTED}: {error.strerror or type(error).__name__}"
    if disputed(keys.trusted, _keys_of_file(jwks)):
        return "has a key whose kid is that of another key in PLEXSPHERE_JWKS"
    return None


def disputed(own: KeySet, others: KeySet) -> list[str]:
    """The kids that name one key here and another there."""
    shared = sorted(own.by_kid.keys() & others.by_kid.keys())
    return [kid for kid in shared if own.by_kid[kid].jwk.key != others.by_kid[kid].jwk.key]


def _keys_of_file(jwks: str) -> KeySet:
    if not jwks or "://" in jwks:
        return NO_KEYS
    try:
        return parse_key_set(FileDocument(Path(jwks)).read() or b"", unheard)
    except (DocumentError, ValueError, OSError):
        return NO_KEYS  # what is wrong with it is PLEXSPHERE_JWKS' own complaint


class OwnKeys:
    """A KeySource of the public halves that also hands out the key that signs.

    A file that was replaced is followed without a restart; one that became unreadable, or worse,
    changes nothing but a warning. ``clock`` is monotonic seconds. Thread-safe.
    """

    def __init__(
        self,
        document: Document,
        *,
        on_warning: OnWarning = unheard,
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
        """The public halves of the newest good set."""
        return self._source.current()

    def searched_for(self, kid: str) -> KeySet:
        """The set after another look at the file: a worker beside this one may know it already."""
        return self._source.searched_for(kid)

    def describe(self) -> tuple[bool, str]:
        """Whether there is a key to sign with, and one line on it."""
        return self._source.describe()

    def signer(self) -> SigningKey:
        """The key that signs now. Raises SigningUnavailable while there never was one."""
        return self._members()[0]

    def jwks(self) -> Mapping[str, object]:
        """The public halves as a JWK Set, the one that signs first."""
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

    A kid that both use for different keys names our own: the other key verifies nothing then, so
    that whoever writes the JWKS can neither stand in for this service nor shut its Nodes out.
    """

    def __init__(self, own: KeySource, others: KeySource, on_warning: OnWarning = unheard) -> None:
        self._own = own
        self._others = others
        self._on_warning = on_warning
        self._joined: tuple[KeySet, KeySet, KeySet] | None = None

    def current(self) -> KeySet:
        """Both sets; the same object while both are the same."""
        return self._join(self._own.current(), self._others.current())

    def searched_for(self, kid: str) -> KeySet:
        """Ours is looked at first: it is a file of this machine, the others may be far away."""
        own = self._own.searched_for(kid)
        if kid in own.by_kid:
            return self._join(own, self._others.current())
        return self._join(own, self._others.searched_for(kid))

    def describe(self) -> tuple[bool, str]:
        """What PLEXSPHERE_JWKS says of itself: ours alone know no person."""
        return self._others.describe()

    def _join(self, own: KeySet, others: KeySet) -> KeySet:
        held = self._joined
        if held is not None and held[0] is own and held[1] is others:
            return held[2]
        for kid in disputed(own, others):
            self._on_warning(f"kid {kid!r} is that of a signing key: the key set's is not used")
        # NO_KEYS means that there never was one, and is told by identity
        empty = own is NO_KEYS and others is NO_KEYS
        joined = NO_KEYS if empty else KeySet({**others.by_kid, **own.by_kid})
        self._joined = (own, others, joined)
        return joined
