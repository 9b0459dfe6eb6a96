"""The array types of the simulator, and odds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]  # Any: single or double precision
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def odds_times(chance: Floats, log_odds: Floats) -> Floats:
    """Return chances whose odds are multiplied by ``exp(log_odds)``; 0 and 1 stay what they are.

    >>> odds_times(np.array([0.0, 0.5, 1.0]), np.log([3.0, 3.0, 3.0])).round(6).tolist()
    [0.0, 0.75, 1.0]
    """
    factor = np.exp(log_odds)
    found: Floats = chance * factor / (1.0 - chance + chance * factor)
    return found
