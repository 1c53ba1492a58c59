"""The connection to NATS: one for a process, on an asyncio thread of its own.

nats-py is asyncio, and the service and its workers are threads. ``NatsConnection`` runs the client
on a thread and gives threads a way to call it. It connects in the background and again after every
loss, so a process starts and lives while NATS is away.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as CallTimeout
from pathlib import Path
from typing import Any, TypeVar

import nats.errors
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError

from composer.errors import EventStreamUnavailable
from server.events.endpoint import NatsEndpoint

STREAM = "plexsphere_events"
SUBJECT_PREFIX = "plexsphere.events."  # before the scope
DOMAIN_HEADER = "Plexsphere-Domain"
SEQ_HEADER = "Plexsphere-Seq"  # of the row in the ledger
# Agents refuse an event after 5 min, so nobody reads older messages.
MAX_AGE_SECONDS = 600.0
# Within this time JetStream stores a message with the same Nats-Msg-Id once.
DUPLICATE_SECONDS = 600.0
MAX_BYTES = 2**30

CONNECT_SECONDS = 2
RECONNECT_WAIT = 0.25  # seconds between two attempts at one server
PING_SECONDS = 1  # a server that answers no two pings is left at the third
REQUEST_SECONDS = 2.0  # of JetStream; an answer that is lost with its connection never comes
SEED_PREFIX = 18 << 3  # of an NKEY seed, before the prefix of its kind

T = TypeVar("T")
OnTrouble = Callable[[str], None]


class NatsConnection:
    """Connects in the background and for ever. Thread-safe."""

    def __init__(self, endpoint: NatsEndpoint, name: str, on_trouble: OnTrouble) -> None:
        """``on_trouble`` gets a sentence about each loss and each kind of failure once."""
        self._endpoint = endpoint
        self._name = name
        self._on_trouble = on_trouble
        self._last_trouble = ""
        self._loop = asyncio.new_event_loop()
        self._client: Client | None = None
        self._uses: set[asyncio.Task[Any]] = set()  # of the connection that there is now
        self._started = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def is_connected(self) -> bool:
        """Whether NATS answers now, as far as the client knows."""
        client = self._client
        return client is not None and client.is_connected

    def start(self) -> None:
        """Begin to connect. After a fork: a thread does not survive one."""
        with self._started:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="nats", daemon=True)
                self._thread.start()
                self.spawn(self._stay_connected())

    def call(self, make: Callable[[Client], Coroutine[Any, Any, T]], seconds: float) -> T:
        """The result of a coroutine on the client's loop.

        Raises EventStreamUnavailable where NATS is away, does not answer in time, or refuses: a
        cluster without a leader refuses until it has one.
        """
        self.start()
        future = asyncio.run_coroutine_threadsafe(self.use(make), self._loop)
        try:
            return future.result(seconds)
        except (nats.errors.Error, OSError, CallTimeout, CancelledError) as error:
            future.cancel()
            raise EventStreamUnavailable(f"NATS: {reason(error)}") from error

    def spawn(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run a coroutine on the client's loop until it ends or the connection is closed."""
        asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def use(self, make: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        """The result of a coroutine that gets the client, as soon as it is connected: for
        coroutines on its loop. Raises ConnectionClosedError when the connection is lost.
        """
        while not self.is_connected:
            await asyncio.sleep(0.02)
        assert self._client is not None
        task = asyncio.ensure_future(make(self._client))
        self._uses.add(task)
        try:
            await asyncio.wait((task,))
            if task.cancelled():
                raise nats.errors.ConnectionClosedError
            return task.result()
        finally:
            self._uses.discard(task)
            task.cancel()

    def close(self) -> None:
        """Close the connection and end the thread."""
        with self._started:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        if self._client is not None:
            self._loop.run_until_complete(self._client.close())
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _stay_connected(self) -> None:
        """nats-py reconnects by itself, and gives up after some errors: then with a new client."""
        while True:
            closed = asyncio.Event()
            try:
                self._client = await self._connected(closed)
                await closed.wait()
            except Exception as error:  # such as a file of credentials that cannot be read
                await self._trouble(error)
            await asyncio.sleep(RECONNECT_WAIT)

    async def _connected(self, closed: asyncio.Event) -> Client:
        client = EncryptedClient() if self._endpoint.uses_tls else Client()

        async def on_closed() -> None:
            closed.set()

        async def on_disconnected() -> None:
            # A consumer is gone with its server; an answer of it does not come any more.
            for task in self._uses:
                task.cancel()
            if not client.is_closed:  # which is the planned end
                self._report("NATS is away")

        async def on_reconnected() -> None:
            self._last_trouble = ""

        await client.connect(
            list(self._endpoint.urls),
            name=self._name,
            error_cb=self._trouble,
            closed_cb=on_closed,
            disconnected_cb=on_disconnected,
            reconnected_cb=on_reconnected,
            connect_timeout=CONNECT_SECONDS,
            reconnect_time_wait=RECONNECT_WAIT,  # type: ignore[arg-type]  # it is only slept
            max_reconnect_attempts=-1,
            ping_interval=PING_SECONDS,
            tls=_tls(self._endpoint),
            # Without a buffer: a publish while NATS is away must fail, not wait to be sent later.
            pending_size=-1,
            **_authentication(self._endpoint.credentials),
        )
        self._last_trouble = ""
        return client

    async def _trouble(self, error: Exception) -> None:
        self._report(f"{type(error).__name__}: {error}")

    def _report(self, sentence: str) -> None:
        if sentence != self._last_trouble:
            self._last_trouble = sentence
            self._on_trouble(sentence)


def reason(error: BaseException) -> str:
    """The description by NATS; without one the name of the error, or that there was no answer."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    description = error.description if isinstance(error, APIError) else None
    return description or type(error).__name__


class EncryptedClient(Client):
    """Sends its credentials over TLS only: nats-py lets the server decide whether there is TLS."""

    def _connect_command(self) -> bytes:
        if not self._server_info.get("tls_required"):
            raise nats.errors.Error("the server offers no TLS")
        return super()._connect_command()


def _tls(endpoint: NatsEndpoint) -> ssl.SSLContext | None:
    if not endpoint.uses_tls:
        return None
    context = ssl.create_default_context(cafile=str(endpoint.ca) if endpoint.ca else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _authentication(file: Path | None) -> dict[str, Any]:
    """The options of a credentials file, which is read anew at every connection.

    The file is what NATS' own tools write (``.creds``: a JWT and an NKEY seed), or one line
    ``user:password``.
    """
    if file is None:
        return {}
    if "-----BEGIN NATS USER JWT-----" not in file.read_text():
        return {
            "user": lambda: file.read_text().strip().partition(":")[0],
            "password": lambda: file.read_text().strip().partition(":")[2],
        }

    def sign(nonce: str) -> bytes:
        signature = seed_key(_armored(file, "USER NKEY SEED")).sign(nonce.encode())
        return base64.urlsafe_b64encode(signature).rstrip(b"=")

    return {
        "user_jwt_cb": lambda: bytearray(_armored(file, "NATS USER JWT").encode()),
        "signature_cb": sign,
    }


def _armored(file: Path, title: str) -> str:
    """The line behind ``-----BEGIN <title>-----``."""
    _, found, rest = file.read_text().partition(f"-----BEGIN {title}-----\n")
    if not found:
        raise ValueError(f"the credentials file has no {title}")
    return rest.split("\n", 1)[0].strip()


def seed_key(seed: str) -> Ed25519PrivateKey:
    """The key of an NKEY seed: base32 of two bytes of prefix, 32 of key, 2 of CRC-16.

    Raises ValueError. The package ``nkeys`` does the same, and has no wheel.
    """
    try:
        raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    except binascii.Error as error:
        raise ValueError("an NKEY seed is base32") from error
    if len(raw) != 36 or raw[0] & 0xF8 != SEED_PREFIX:
        raise ValueError("not an NKEY seed")
    if binascii.crc_hqx(raw[:-2], 0) != int.from_bytes(raw[-2:], "little"):
        raise ValueError("an NKEY seed with a wrong checksum")
    return Ed25519PrivateKey.from_private_bytes(raw[2:34])


def jetstream_of(client: Client) -> JetStreamContext:
    """JetStream of a client; an answer that does not come is an error soon."""
    return client.jetstream(timeout=REQUEST_SECONDS)


async def found_stream(client: Client) -> StreamInfo | None:
    """The stream of events; None where there is none yet."""
    try:
        return await jetstream_of(client).stream_info(STREAM)
    except NotFoundError:
        return None


async def ensured_stream(client: Client, replicas: int = 1) -> tuple[JetStreamContext, StreamInfo]:
    """JetStream, with the stream of events; one that exists is left as it is."""
    jetstream = jetstream_of(client)
    info = await found_stream(client)
    if info is None:
        info = await jetstream.add_stream(
            StreamConfig(
                name=STREAM,
                subjects=[f"{SUBJECT_PREFIX}>"],
                retention=RetentionPolicy.LIMITS,
                storage=StorageType.FILE,
                discard=DiscardPolicy.OLD,
                max_age=MAX_AGE_SECONDS,
                max_bytes=MAX_BYTES,
                duplicate_window=DUPLICATE_SECONDS,
                # A stream made anew has positions that none before it had: an agent's last one is
                # then older than its first, and not taken for one of its own.
                first_seq=int(time.time() * 1000),
                num_replicas=replicas,
            )
        )
    return jetstream, info
