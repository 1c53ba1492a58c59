"""`python -m server.dev`: the command of `make run`; it starts sooner than the command line."""

import argparse
import sys

from .run import run_dev

parser = argparse.ArgumentParser(prog="python -m server.dev", description=run_dev.__doc__)
parser.add_argument("--port", type=int, default=8080)
parser.add_argument("--nodes", type=int, default=64)
parser.add_argument("--history", type=int, default=0)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--external", action="store_true")
options = parser.parse_args()
sys.exit(run_dev(**vars(options)))
