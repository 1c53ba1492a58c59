"""How many connections at once this process may have."""

from __future__ import annotations

import resource

# What is open beside the connections: the terminal, the libraries, the ledger's own.
OTHERS = 64


def room_for(connections: int) -> int:
    """Of so many, how many may be open at once; the soft limit is raised as far as is needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHERS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else min(connections, soft - OTHERS)
