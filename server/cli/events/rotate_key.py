"""``plexsphere-state events rotate-key``: the next event key of a Domain."""

from __future__ import annotations

import time
from base64 import b64encode
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer

from server.cli.events.ledger import SECONDS, event_keys
from server.cli.failures import ExitCode, Failure
from server.cli.operators import operator
from server.cli.options import AsJson, domain_id
from server.cli.screen import write_json

EXAMPLE = "plexsphere-state events rotate-key $PLEXSPHERE_DOMAIN_ID"
DAY = 86_400

Domain = Annotated[
    str,
    typer.Argument(
        metavar="DOMAIN", envvar="PLEXSPHERE_DOMAIN_ID", help="The Domain's id.", show_default=False
    ),
]
Transition = Annotated[
    int,
    typer.Option(
        min=600,
        max=30 * DAY,
        metavar="SECONDS",
        help="How long agents accept the key before: an agent that is away for longer than this "
        "must enrol again.",
    ),
]


def rotate_key(domain: Domain, transition: Transition = DAY, as_json: AsJson = False) -> None:
    """Make the next event key of a Domain, which signs from now on.

    The event signing_key_rotated, signed by the key before, tells the agents. During a transition
    there is no second rotation, because agents know one previous key only. The audit has a row.
    """
    from composer.deadline import Deadline
    from composer.errors import DomainNotFound, EventKeyInTransition

    addressed = domain_id(domain)
    with event_keys("plexsphere-state events rotate-key") as (keys, _):
        try:
            rotated = keys.rotate(
                domain_id=UUID(addressed),
                transition=timedelta(seconds=transition),
                operator=operator(),
                deadline=Deadline.after(SECONDS, time.monotonic),
            )
        except DomainNotFound as error:
            raise Failure(f"the ledger has no Domain {addressed}.", ExitCode.USAGE) from error
        except EventKeyInTransition as error:
            sentence = f"the last rotation is not over: {error}. Nothing was changed."
            raise Failure(sentence, ExitCode.REFUSED) from error
    found = {
        "key_id": rotated.key.id,
        "public_key": b64encode(rotated.key.public_key).decode(),
        "previous_key_id": rotated.previous_key_id,
        "transition_expires": rotated.transition_expires.isoformat(),
    }
    if as_json:
        write_json(found)
    else:
        typer.echo("\n".join(f"{name}: {value}" for name, value in found.items()))
