"""What rewards cost against what they bring, under assumptions about how far an offer moves people.

A backtest can't see that: nobody was offered anything. So both assumptions are stated and varied, and where cost and
margin are equal is named:

* the offer makes more challenges complete, by a share of those that complete anyway. Who completes in addition is
  drawn from those who did not, by their chance, and brings the margin of the items that they had not bought. Whoever
  completes gets the reward;
* the policy's own reckoning: a share of the stretch purchases, and of the habits' (`habit_uplift`), would not have
  happened without the challenge. The policy that ships takes the whole stretch for extra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.backtest.observation import OURS, Fact, Table

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MORE_COMPLETIONS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
EXTRA_SHARES = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)
_PER = 1000


@dataclass(frozen=True)
class Stakes:
    """What challenges asked for and what came of them; arrays of shape ``(n, 3)``, or ``(n,)``.

    `margins` is the money that an item brings when it is done (0 where unknown), `done` whether it was, `chances` that
    of all three, `costs` the reward's cost where it is paid out (0: no reward was offered). `habit_share` is the
    policy's share of the habits' margin that counts as extra.
    """

    margins: FloatArray
    done: BoolArray
    chances: FloatArray
    costs: FloatArray
    habit_share: float

    def __len__(self) -> int:
        """Return the number of challenges."""
        return len(self.costs)

    @property
    def completed(self) -> BoolArray:
        """Return which were done as a whole."""
        return np.asarray(self.done.all(axis=1), dtype=np.bool_)

    @property
    def paid(self) -> float:
        """Return what the rewards of those that completed cost, money."""
        return float(self.costs[self.completed].sum())

    @property
    def of_one_more(self) -> tuple[float, float]:
        """Return the margin that one more completed challenge brings, and what its reward costs, money."""
        others = ~self.completed
        weight = self.chances[others]
        if weight.sum() <= 0:
            return 0.0, 0.0
        missing = (self.margins * ~self.done).sum(axis=1)[others]
        return float(np.average(missing, weights=weight)), float(np.average(self.costs[others], weights=weight))


def break_even_uplift(stakes: Stakes) -> float:
    """Return by what share completions must rise for the rewards to pay; inf where no rise does, 0 without rewards.

    Examples
    --------
    >>> done = np.array([[True, True, True], [True, True, False]])
    >>> stakes = Stakes(np.full((2, 3), 3.0), done, np.array([0.5, 0.5]), np.array([1.0, 1.0]), 0.1)
    >>> break_even_uplift(stakes)  # 1 more completion brings 3 and costs 1: half a one pays for the first's reward
    0.5
    """
    if stakes.paid <= 0.0:
        return 0.0
    margin, cost = stakes.of_one_more
    return stakes.paid / (int(stakes.completed.sum()) * (margin - cost)) if margin > cost else float("inf")


def break_even_share(stakes: Stakes) -> float:
    """Return which share of the stretch purchases must be extra for the rewards to pay; above 1, not even all would."""
    owed = stakes.paid - stakes.habit_share * _done_margin(stakes, slice(0, 2))
    stretch = _done_margin(stakes, slice(2, 3))
    if owed <= 0.0:
        return 0.0
    return owed / stretch if stretch > 0 else float("inf")


def reward_tables(task: str, stakes: Stakes) -> tuple[Table, ...]:
    """Return the two assumptions varied, per thousand challenges; nothing without a challenge or a known margin."""
    if len(stakes) == 0 or not stakes.margins.any():
        return ()
    return (_by_uplift(task, stakes), _by_share(task, stakes))


def reward_facts(task: str, stakes: Stakes) -> tuple[Fact, ...]:
    """Return where rewards pay, and what one costs; nothing without a challenge or a known margin."""
    if len(stakes) == 0 or not stakes.margins.any():
        return ()
    margin, cost = stakes.of_one_more
    values = {
        "challenges with a reward": float((stakes.costs > 0).mean()),
        "reward cost per thousand challenges": _PER * stakes.paid / len(stakes),
        "margin of one more completed": margin,
        "reward of one more completed": cost,
        "break-even: completions must rise by": break_even_uplift(stakes),
        "break-even: share of stretch purchases that is extra": break_even_share(stakes),
    }
    return tuple(Fact(task, name, {OURS: value}) for name, value in values.items() if np.isfinite(value))


def _by_uplift(task: str, stakes: Stakes) -> Table:
    n_completed, (margin, cost) = int(stakes.completed.sum()), stakes.of_one_more
    rows = []
    for uplift in MORE_COMPLETIONS:
        more = uplift * n_completed
        rows.append((f"+{uplift:.0%}", n_completed + more, more * margin, stakes.paid + more * cost))
    title = "Rewards, if an offer makes so many more challenges complete (" + _said(break_even_uplift(stakes)) + ")"
    return _table(task, title, "completions", rows, len(stakes))


def _by_share(task: str, stakes: Stakes) -> Table:
    habits, stretch = _done_margin(stakes, slice(0, 2)), _done_margin(stakes, slice(2, 3))
    n_stretches = float(stakes.done[:, 2].sum())
    rows = [
        (f"{share:.0%}", share * n_stretches, stakes.habit_share * habits + share * stretch, stakes.paid)
        for share in EXTRA_SHARES
    ]
    title = (
        f"Rewards, if so many of the stretch purchases, and {stakes.habit_share:.0%} of the habits', are extra ("
        + _said(break_even_share(stakes))
        + ")"
    )
    return _table(task, title, "extra stretches", rows, len(stakes))


def _table(task: str, title: str, counted: str, rows: list[tuple[str, float, float, float]], n: int) -> Table:
    """Return the rows (assumption, count, extra margin, cost) per thousand challenges."""
    header = ("assumed", f"{counted} per {_PER:,}", "extra margin", "reward cost", "net")
    cells = tuple(
        (
            assumed,
            f"{_PER * count / n:.1f}",
            f"{_PER * margin / n:.2f}",
            f"{_PER * cost / n:.2f}",
            f"{_PER * (margin - cost) / n:+.2f}",
        )
        for assumed, count, margin, cost in rows
    )
    return Table(task, title, header, cells)


def _said(break_even: float) -> str:
    return f"break-even at {break_even:.0%}" if np.isfinite(break_even) else "no rise pays"


def _done_margin(stakes: Stakes, places: slice) -> float:
    return float((stakes.margins * stakes.done)[:, places].sum())
