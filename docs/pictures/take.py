"""Takes every picture anew, from a stack of its own; `make pictures` runs it from the root.

    python -m docs.pictures.take

``docs-*.png`` are the docs page in a real browser, ``terminal.svg`` is what the command line
printed, ``flow.svg`` is drawn.
"""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

from docs.pictures import flow
from server.dev.stack import Stack
from tests.e2e.browser.headless import run_script

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NODES = 8
COLUMNS = 104
BROWSER_S = 120.0
FONT = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace'
# rich names a font on somebody's host; a picture asks nothing of any.
FORMAT = inspect.signature(Console.export_svg).parameters["code_format"].default
SVG = re.sub(r"@font-face {{.*?}}\s*|<!--.*?-->\s*", "", FORMAT, flags=re.DOTALL).replace(
    "Fira Code, monospace", FONT
)


def main() -> None:
    """Start, take, stop."""
    flow.main()
    with Stack(ROOT / ".dev" / "pictures", nodes=NODES) as stack:
        terminal(stack)
        arguments = {"url": stack.url, "token": stack.token(), "folder": str(HERE)}
        for name in run_script("pictures.mjs", arguments, BROWSER_S):
            print(f"{name}: {(HERE / name).stat().st_size} bytes")


def terminal(stack: Stack) -> None:
    """The output of `plexsphere-state snapshot` on a terminal, colours included."""
    command = ["plexsphere-state", "snapshot", stack.node_id]
    environment = {
        **os.environ,
        **stack.env,
        **stack.identities,
        "FORCE_COLOR": "1",
        "COLUMNS": str(COLUMNS),
    }
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [program, *command[1:]], env=environment, capture_output=True, text=True, check=True
    )
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(Text("$ plexsphere-state snapshot $PLEXSPHERE_NODE_ID", style="bold green"))
    console.print(Text.from_ansi(done.stdout))
    target = HERE / "terminal.svg"
    svg = console.export_svg(
        title="a Node's desired state", theme=DIMMED_MONOKAI, code_format=SVG, unique_id="snapshot"
    )
    target.write_text(svg, encoding="utf-8")
    print(f"{target.name}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
