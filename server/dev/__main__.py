"""`python -m server.dev`: the command of `make run`; it starts sooner than the command line."""

import argparse
import sys

from . import defaults
from .run import run_dev

parser = argparse.ArgumentParser(prog="python -m server.dev", description=run_dev.__doc__)
parser.add_argument("--port", type=int, default=defaults.PORT)
parser.add_argument("--nodes", type=int, default=defaults.NODES)
parser.add_argument("--history", type=int, default=defaults.HISTORY)
parser.add_argument("--seed", type=int, default=defaults.SEED)
parser.add_argument("--external", action="store_true")
options = parser.parse_args()
sys.exit(run_dev(**vars(options)))
