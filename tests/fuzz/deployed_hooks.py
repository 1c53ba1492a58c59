"""The module that `SCHEMATHESIS_HOOKS` names for a deployed service.

Its checks look at one exchange alone: the ledger behind the service is not known here.
"""

from tests.fuzz import stream_opening
from tests.fuzz.judge import Judge
from tests.fuzz.own_checks import (
    base64_is_valid,
    peers_are_sorted_and_others,
    state_equals_reports,
    tag_decides_between_200_and_304,
)
from tests.fuzz.plug_in import plug_in_checks
from tests.fuzz.problem_checks import answer_checks
from tests.fuzz.world import World
from tests.fuzz.write_checks import cursor_is_of_the_domain, token_is_of_the_node

OF_ONE_EXCHANGE = (
    base64_is_valid,
    peers_are_sorted_and_others,
    state_equals_reports,
    tag_decides_between_200_and_304,
    token_is_of_the_node,
    cursor_is_of_the_domain,
)
JUDGE = Judge(World({}, {}, ""))
JUDGE.checks = {**answer_checks(), **{check.__name__: check for check in OF_ONE_EXCHANGE}}

stream_opening.install()
plug_in_checks(lambda: JUDGE)
