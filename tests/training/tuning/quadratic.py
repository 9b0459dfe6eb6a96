"""A search whose answer is known, for tests; as a program it stops in its sixth trial, to be killed there."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from training.tune import Draw, OpenStudy, open_study
from training.tuning.space import Dimension, Space

SPACE = Space(
    (
        Dimension("x", "float", 0.0, 10.0),
        Dimension("trees.n", "int", 1, 100, log=True),
        Dimension("kind", "choice", choices=("a", "b", (1, 2))),
    ),
    {"x": 8.0, "trees.n": 50, "kind": "a"},
)
ABOUT = {"data": "d1", "space": SPACE.record(), "seed": 3}
N_CUTOFFS = 3


def reached(draw: Draw, cutoff: int) -> float:
    """Return the value: best at x = 3 and kind b, and each cutoff has a level of its own."""
    return -((draw.settings["x"] - 3.0) ** 2) + (draw.settings["kind"] == "b") - 5.0 * cutoff


def run(study: OpenStudy, n_trials: int, pause: Callable[[], None] = lambda: None) -> None:
    """Run trials as `tercet tune` does, until `n_trials` have ended."""
    while len(study.trials()) < n_trials:
        draw = study.draw()
        shipped = study.trials()[0].by_cutoff if draw.number else None
        values: list[float] = []
        is_whole = True
        for cutoff in range(N_CUTOFFS):
            pause()
            values.append(reached(draw, cutoff))
            gains = [value - before for value, before in zip(values, shipped or values, strict=False)]
            if cutoff < N_CUTOFFS - 1 and study.is_hopeless(draw, gains):
                is_whole = False
                break
        study.end(draw, values, 0.1, is_whole=is_whole)


if __name__ == "__main__":
    with open_study(Path(sys.argv[1]), SPACE, ABOUT) as slow:
        run(slow, 5)
        run(slow, 6, lambda: time.sleep(600))
