"""A task of the backtest, and what tercet serves at a cutoff: the two things between which a task's module stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.asof import Moment
from serving.bundle import Bundle
from training.backtest.observation import Findings
from training.history import History

Group = Literal["Repeat", "Stretch", "Also bought", "Scores", "Challenge"]


class Served(Protocol):
    """What the batch answers at one cutoff, from models that had learned up to it; rows instead of ids.

    All lists are what `tercet batch … --no-rules` writes at the cutoff, in full: made once, kept on disk, read by any
    task that asks.
    """

    @property
    def history(self) -> History:
        """Return all that the source knows: labels come from here, and from nowhere else."""

    @property
    def known(self) -> History:
        """Return what was known at the cutoff: peers learn from this."""

    @property
    def moment(self) -> Moment:
        """Return the cutoff."""

    @property
    def bundle(self) -> Bundle:
        """Return the bundle that answered."""

    @property
    def models(self) -> dict[str, Any]:  # Any: each task knows the fitted class that it needs
        """Return the models behind the answers, by name; fitted anew where only their bundle was kept."""

    @property
    def customers(self) -> npt.NDArray[np.int64]:
        """Return the rows of the customers who are asked, ascending: those known at the cutoff, or a sample of them.

        Only they are in the lists below; a task judges nobody else.
        """

    @property
    def is_quick(self) -> bool:
        """Return whether a first look is wanted (`--quick`): a task with many queries then takes a tenth of them."""

    def recommendations(self, intent: str, level: str, k: int) -> pd.DataFrame:
        """Return `customer_row`, the level's item row, `rank` from 1, `probability` and `personalized` of every list.

        `intent` and `level` are the batch's words (`serving.api_codes`: ``buy_again``; ``product_type``); `k` ≤ 100.
        """

    def also_bought(self, queries: Sequence[Sequence[int]], k: int) -> pd.DataFrame:
        """Return `query` (place in `queries`), `product_row`, `rank` and `score` for baskets of product rows."""

    def scores(self) -> pd.DataFrame:
        """Return `customer_row` and the columns of `tercet batch scores` for everyone, lists as lists."""

    def challenges(self) -> pd.DataFrame:
        """Return `customer_row`, the columns of `tercet batch challenge` and `counts_row`, three rows a challenge.

        They obey the rules, as a server gives them.
        """


@dataclass(frozen=True)
class Task:
    """What is measured, on which cutoffs, and how.

    Attributes
    ----------
    name
        A word for files and progress: ``"repeat-types"``.
    window_days, n_cutoffs
        The label window, and how many cutoffs are tested (one with `--quick`).
    needs
        The models that must have learned for its answers (learner names).
    observe
        What was shown at a cutoff; it asks `Served` for our answers and lets the peers learn from `served.known`.
    config
        The peers' settings: part of what a kept result is known by.
    """

    name: str
    group: Group
    window_days: int
    n_cutoffs: int
    needs: tuple[str, ...]
    observe: Callable[[Served], Findings]
    config: Any = None  # Any: a frozen dataclass of the task's own
