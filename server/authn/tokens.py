"""Gate 1: who sends this request, according to a JWT it carries."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from hashlib import sha256

from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from composer.identity import Principal
from server.authn.claims import check_origin, read_principal, read_window
from server.authn.compact import Compact, bearer_token, take_apart
from server.authn.keys import NO_KEYS, KeySet, KeySource
from server.authn.refusal import OnRefused, Refusal, Refused, unheard
from server.authn.verified import Verified, VerifiedTokens

ALGORITHMS = ("EdDSA", "ES256", "RS256")


class TokenVerifier:
    """Turns ``Authorization`` headers into a Principal, or into None for every other form.

    A caller learns nothing of why it was refused: all hostile forms get the same bytes.
    ``on_refused`` gets a word of ``Refusal``. ``clock`` is Unix seconds. Thread-safe.
    """

    def __init__(
        self,
        keys: KeySource,
        issuer: str,
        audience: str,
        leeway_s: float = 30.0,
        max_bytes: int = 4096,
        algorithms: Sequence[str] = ALGORITHMS,
        *,
        clock: Callable[[], float] = time.time,
        on_refused: OnRefused = unheard,
        remembered: int = 16_384,
    ) -> None:
        if not algorithms or not set(algorithms) <= set(ALGORITHMS):
            raise ValueError(f"algorithms must be some of {', '.join(ALGORITHMS)}")
        if not issuer or not audience:
            raise ValueError("issuer and audience must not be empty")
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._leeway_s = leeway_s
        self._max_bytes = max_bytes
        self._algorithms = frozenset(algorithms)
        self._jws = PyJWS(algorithms=list(algorithms))
        self._clock = clock
        self._on_refused = on_refused
        self._verified = VerifiedTokens(remembered)

    def principal(self, authorization_headers: Sequence[str]) -> Principal | None:
        """The Principal of a request with these raw header values. Never raises."""
        try:
            return self._principal(bearer_token(authorization_headers, self._max_bytes))
        except Refused as refused:
            reason = refused.reason
        except Exception:
            # Whatever a hostile token makes a library do, it must not become a 500 or a yes.
            reason = Refusal.INTERNAL
        with contextlib.suppress(Exception):
            self._on_refused(reason.value)
        return None

    def _principal(self, token: str) -> Principal:
        digest = sha256(token.encode("ascii")).digest()
        keys = self._keys.current()
        known = self._verified.get(digest, keys)
        found = known or self._verify(take_apart(token, self._algorithms), keys)
        try:
            # Every time: between two uses of a token only the clock's answer changes.
            found.window.check(self._clock(), self._leeway_s)
        except Refused:
            self._verified.forget(digest)
            raise
        if known is None:
            self._verified.put(digest, found)
        return found.principal

    def _verify(self, compact: Compact, keys: KeySet) -> Verified:
        if compact.kid not in keys.by_kid:
            keys = self._keys.searched_for(compact.kid)
        key = keys.by_kid.get(compact.kid)
        if key is None:
            raise Refused(Refusal.NO_KEYS if keys is NO_KEYS else Refusal.UNKNOWN_KEY)
        # The key decides which algorithm it verifies; the token may only agree.
        if key.algorithm != compact.algorithm:
            raise Refused(Refusal.KEY_MISMATCH)
        try:
            self._jws.decode_complete(compact.text, key.jwk, algorithms=[key.algorithm])
        except PyJWTError:
            raise Refused(Refusal.BAD_SIGNATURE) from None
        check_origin(compact.claims, self._issuer, self._audience)
        principal = read_principal(compact.claims)
        return Verified(principal, read_window(compact.claims), keys)
