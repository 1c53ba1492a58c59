"""A change of a Node's credentials by a command: its time, and its errors as sentences."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from server.cli.failures import ExitCode, Failure

if TYPE_CHECKING:
    from composer.deadline import Deadline

SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class CredentialChange:
    """The Node, and by when its change must be done."""

    node_id: UUID
    deadline: Deadline


@contextmanager
def changing(node: str) -> Iterator[CredentialChange]:
    """Raises Failure where there is no such Node."""
    from composer.deadline import Deadline
    from composer.errors import NodeNotFound

    try:
        yield CredentialChange(UUID(node), Deadline.after(SECONDS, time.monotonic))
    except NodeNotFound as error:
        sentence = f"the ledger has no Node {node}; nothing was changed."
        raise Failure(sentence, ExitCode.USAGE) from error
