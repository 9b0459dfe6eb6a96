"""Which days a task is tested on, and which earlier ones its settings may be tuned on.

Both are counted back from the end of the source, four weeks apart, so that any source has its own; on Complete Journey
(2017) they are the test cutoffs of the published figures.
"""

from __future__ import annotations

from features.asof import Moment
from training.history import History

STEP_DAYS = 28


def judged_cutoffs(history: History, window_days: int, n: int) -> list[Moment]:
    """Return the latest `n` or fewer cutoffs whose windows of `window_days` had ended, earliest first."""
    return history.cutoff_before(window_days, n, step_days=STEP_DAYS)


def tuning_cutoffs(history: History, window_days: int, n_tested: int, n: int) -> list[Moment]:
    """Return the latest `n` or fewer cutoffs whose windows had ended by the first of the `n_tested` test cutoffs.

    What is chosen on them has not seen a label of the weeks that it is judged on, nor of any after. Empty when the
    source is too short to tune on.
    """
    tests = judged_cutoffs(history, window_days, n_tested)
    return history.until(tests[0]).cutoff_before(window_days, n, step_days=STEP_DAYS) if tests else []
