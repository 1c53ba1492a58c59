"""The module that `SCHEMATHESIS_HOOKS` names: the plug-in in the process of the command line.

The counts are written when that process ends; `campaign.py` reads them.
"""

import atexit
import os
from pathlib import Path

from tests.fuzz import stream_opening
from tests.fuzz.judge import Judge
from tests.fuzz.plug_in import plug_in
from tests.fuzz.world import World

FOLDER = Path(os.environ["FUZZ_FOLDER"])
JUDGE = Judge(World.load(FOLDER / "world.json"))

stream_opening.install()
plug_in(lambda: JUDGE)
atexit.register(JUDGE.tally.save, FOLDER / "tally.json")
