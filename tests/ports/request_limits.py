"""The promises of every RequestLimits (``composer.limits.RequestLimits``)."""

from __future__ import annotations

import pytest

from composer.errors import RateLimited
from composer.limits import Limit, RequestLimits

SUBJECT, OTHER, PERMISSION = "user:stranger", "user:other", "node-agent on node:1"


class RequestLimitsSuite:
    """Override ``limits``, which limit nobody yet, and ``spent``, where SUBJECT must wait before it
    rotates a key again."""

    @pytest.fixture
    def limits(self) -> RequestLimits:
        raise NotImplementedError

    @pytest.fixture
    def spent(self) -> RequestLimits:
        raise NotImplementedError

    def test_a_subject_that_has_sent_nothing_is_admitted(self, limits: RequestLimits) -> None:
        limits.admit(SUBJECT, PERMISSION)
        limits.admit(SUBJECT, PERMISSION, Limit.KEY_ROTATIONS)

    def test_one_refusal_or_grant_limits_nobody(self, limits: RequestLimits) -> None:
        limits.refused(SUBJECT)
        limits.granted(OTHER, PERMISSION)
        for subject in (SUBJECT, OTHER):
            limits.admit(subject, PERMISSION)

    def test_beyond_a_limit_a_request_is_refused_with_the_seconds_to_wait(
        self, spent: RequestLimits
    ) -> None:
        with pytest.raises(RateLimited) as limited:
            spent.admit(SUBJECT, PERMISSION, Limit.KEY_ROTATIONS)
        assert limited.value.retry_after > 0
