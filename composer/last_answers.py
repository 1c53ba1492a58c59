"""The last complete answer of each Node's pull, for an outage of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from composer.identity import AddressedNode


@dataclass(frozen=True, slots=True)
class KeptBlock:
    """One key of the body; ``cut`` is the part of ``source`` that is not sent."""

    name: str
    source: bytes
    cut: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """``node`` is the row that the answer was made by; ``age`` in seconds since it was sent."""

    node: AddressedNode
    digest: str
    blocks: tuple[KeptBlock, ...]
    age: float


class LastAnswers(Protocol):
    """Keeps answers for a limited time, for all workers of a host. No method raises."""

    is_enabled: bool

    def keep(self, node: AddressedNode, digest: str, blocks: Sequence[KeptBlock]) -> None:
        """The Node is sent this complete answer now."""
        ...

    def of_node(self, node_id: UUID) -> KeptAnswer | None:
        """The last answer of the Node, where it is whole and not too old."""
        ...

    def digests_of(self, node_id: UUID) -> tuple[bytes, ...]:
        """The digests of the Node's secret keys by its last answer; none where that is not kept."""
        ...

    def forget(self, node_id: UUID) -> None:
        """The last answer of the Node must not be sent again."""
        ...

    def sent_again(self, node_id: UUID, age: float) -> None:
        """The last answer of the Node is sent while the ledger is away."""
        ...


class NoLastAnswers:
    """The LastAnswers of a service that keeps none."""

    is_enabled = False

    def keep(self, node: AddressedNode, digest: str, blocks: Sequence[KeptBlock]) -> None:
        """Do nothing."""

    def of_node(self, node_id: UUID) -> KeptAnswer | None:
        """Find nothing."""
        return None

    def digests_of(self, node_id: UUID) -> tuple[bytes, ...]:
        """Find nothing."""
        return ()

    def forget(self, node_id: UUID) -> None:
        """Do nothing."""

    def sent_again(self, node_id: UUID, age: float) -> None:
        """Do nothing."""
