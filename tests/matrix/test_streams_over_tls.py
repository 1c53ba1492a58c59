"""An event stream of the real service over TLS. Part of `make matrix`."""

from __future__ import annotations

import ssl
from pathlib import Path

from tests.client import ask, bearer
from tests.event_client import held_stream
from tests.keys_of_tls import certificate_for_loopback
from tests.scratch import post
from tests.small_gunicorn import small_gunicorn
from tests.stacks import running_stack

PREFIX = "PLEXSPHERE_"


def test_a_stream_over_tls_has_its_events_and_ends_with_the_worker(tmp_path: Path) -> None:
    certificate = certificate_for_loopback(tmp_path)
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    with running_stack("tls", nodes=8, workers=1, nats=True, relay=True) as stack:
        settings = {
            name.removeprefix(PREFIX): value
            for name, value in stack.env.items()
            if name.startswith(PREFIX) and name != f"{PREFIX}BIND"
        }
        with (
            small_gunicorn(tmp_path, settings, certificate, application="wsgi:application") as made,
            held_stream(
                f"https://127.0.0.1:{made.port}",
                stack.node_id,
                bearer(stack.token()),
                tls=trusting,
            ) as client,
        ):
            assert client.status == 200
            client.opening()
            path = f"/v1/domains/{stack.sample.domain_id}/nodes"
            assert post(stack, path, "RegisterNode").status == 201
            assert client.event().event == "peer_added"
            assert ask(stack.url, "/livez").status == 200
            made.process.terminate()
            assert [frame.event for frame in client.rest() if frame.event] == []
