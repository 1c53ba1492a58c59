"""``plexsphere-state events kek``: a value for PLEXSPHERE_EVENT_KEK."""

from __future__ import annotations

EXAMPLE = "plexsphere-state events kek"


def kek() -> None:
    """Print a new value for PLEXSPHERE_EVENT_KEK, the key that encrypts event keys in the ledger.

    Every process of a service needs the same value. A lost value cannot be replaced: the event keys
    that it encrypted sign nothing any more, and their Nodes must enrol again.
    """
    from server.events.keys import new_kek

    print(new_kek())
