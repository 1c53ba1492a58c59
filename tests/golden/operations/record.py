"""Keep what every operation answers now: `python -m tests.golden.operations.record`.

Then read the diff: every line of it is a change of what a caller sees.
"""

from __future__ import annotations

import logging
import sys

from tests.golden.operations.asking import Asker, cases
from tests.golden.operations.recording import ANSWERS
from tests.golden.operations.variants import VARIANTS


def main() -> int:
    logging.disable()  # refusals and defects are what is asked for
    asker = Asker()
    found = [(case, asker.outcome(case)) for name in VARIANTS for case in cases(name)]
    ANSWERS.write(found)
    print(f"{len(found)} cases in {ANSWERS.path.name}, {ANSWERS.path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
