"""The console script ``plexsphere-state``, in a Python that no variable of the shell misleads.

PYTHONPATH may lead to other versions of our libraries, and PYTHONWARNINGS=error refuses to import
some of them. Python has read both before our code runs, so the command starts once more.
"""

from __future__ import annotations

import os
import sys

MISLEADING = ("PYTHONPATH", "PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONINSPECT")


def main() -> None:
    """Run the command line, isolated (``python -I``) where a variable misleads."""
    # gRPC's C core prints lines of its own on stderr; what they tell is in the error of the call.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    removed = [name for name in MISLEADING if os.environ.pop(name, "")]
    if removed:
        # -I also keeps the current folder, whose modules may have any name, out of the import path.
        os.execv(sys.executable, [sys.executable, "-I", "-m", "server.cli", *sys.argv[1:]])
    from server.cli import main as command_line

    command_line()
