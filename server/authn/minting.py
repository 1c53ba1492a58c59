"""Node-agent JWTs, signed with the service's own key."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import jwt

from composer.identity import node_object
from composer.node_token import NodeToken
from server.authn.own_keys import OwnKeys

# 24 h: long enough for an agent to renew through an outage of a night, short enough that what was
# lost with a disk is worth nothing the day after. Revocation does not wait for it (gate 2).
TTL_S = 24 * 3600


class JwtMint:
    """A TokenMint. ``clock`` is Unix seconds; a token holds from the second it is minted in."""

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

    def mint(self, node_id: UUID) -> NodeToken:
        """See ``composer.node_token.TokenMint``."""
        key = self._keys.signer()
        now = int(self._clock())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": node_object(node_id),
            "iat": now,
            "nbf": now,
            "exp": now + TTL_S,
            "jti": uuid4().hex,
        }
        headers = {"kid": key.public.kid}
        text = jwt.encode(claims, key.private, algorithm=key.public.algorithm, headers=headers)
        return NodeToken(text, datetime.fromtimestamp(now + TTL_S, UTC))
