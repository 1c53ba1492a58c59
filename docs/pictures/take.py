"""Takes every picture anew, from a stack of its own; `make pictures` runs it from the root.

    python -m docs.pictures.take

``docs-light.png`` is the docs page in a real browser; ``terminal.svg``, ``top.svg`` and
``fleet-status.svg`` are what the command line printed, the last two of a simulated fleet;
``dashboard.svg`` are the answers of a real Prometheus; ``flow.svg`` is drawn.
"""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

from deploy.lint_deploy.lint import debian
from docs.pictures import flow
from docs.pictures.running import pictures_of, told
from server.dev.stack import Stack
from tests.e2e.browser.headless import run_script

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NODES = 8
COLUMNS = 104
BROWSER_S = 120.0
TITLES = {
    "terminal": "a Node's desired state",
    "top": "what the service does now",
    "fleet-status": "which Nodes run their desired state",
}
FONT = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace'
# rich names a font on somebody's host; a picture asks nothing of any.
FORMAT = inspect.signature(Console.export_svg).parameters["code_format"].default
SVG = re.sub(r"@font-face {{.*?}}\s*|<!--.*?-->\s*", "", FORMAT, flags=re.DOTALL).replace(
    "Fira Code, monospace", FONT
)


def main() -> None:
    """Start, take, stop."""
    flow.main()
    parts = {"evaluator": True, "relay": True, "nats": True}
    with Stack(ROOT / ".dev" / "pictures", nodes=NODES, **parts) as stack:
        snapshot = told(stack, "snapshot", stack.node_id, columns=COLUMNS)
        terminal("terminal", "snapshot $PLEXSPHERE_NODE_ID", snapshot, COLUMNS)
        shown, dashboard = pictures_of(stack, debian("prometheus", "usr/bin/prometheus"))
        for command, output in shown.items():
            terminal(command.replace(" ", "-"), command, output, 80)
        (HERE / "dashboard.svg").write_text(dashboard, encoding="utf-8")
        arguments = {"url": stack.url, "token": stack.token(), "folder": str(HERE)}
        for name in run_script("pictures.mjs", arguments, BROWSER_S):
            print(f"{name}: {(HERE / name).stat().st_size} bytes")


def terminal(name: str, command: str, output: str, columns: int) -> None:
    """The output of a command on a terminal, colours included."""
    console = Console(record=True, width=columns, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(Text(f"$ plexsphere-state {command}", style="bold green"))
    console.print(Text.from_ansi(output))
    target = HERE / f"{name}.svg"
    title = TITLES[name]
    svg = console.export_svg(title=title, theme=DIMMED_MONOKAI, code_format=SVG, unique_id=name)
    target.write_text(svg, encoding="utf-8")
    print(f"{target.name}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
