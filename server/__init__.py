"""The outside world: the only room that imports Connexion, Flask, authzed and PyJWT."""

import sys

# Connexion imports aiohttp where there is one, which costs a third of its import, and only its own
# application for aiohttp needs it. Connexion and nats-py go on without it.
sys.modules.setdefault("aiohttp", None)  # type: ignore[arg-type]
