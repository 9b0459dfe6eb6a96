"""The parts of a challenge: its items, and the draft that they are chosen in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from serving.api_answers import Reason
from serving.api_codes import Level, Role
from serving.candidates import Habit, made
from serving.decisioning.exploring import Lots
from serving.decisioning.merchandising import Display
from serving.decisioning.rules import Screen
from serving.decisioning.windows import Window
from serving.taste import Taste

N_HABITS = 2
N_ITEMS = 3
ROLES = (Role.HABIT, Role.HABIT, Role.STRETCH)


class Pick(NamedTuple):
    """One item of a challenge; `chance` is that of exactly what `level` counts, within the window."""

    product: int
    role: Role
    level: Level
    chance: float
    reason: Reason
    is_new: bool = False
    habit: Habit | None = None


pick_of: Callable[[tuple[int, Role, Level, float, Reason, bool, Habit | None]], Pick] = partial(made, Pick)


@dataclass(slots=True)
class Draft:
    """A challenge in the making; `closed_types` are those just bought or in the basket, `roles` are to be filled.

    The first `n_habits` of them are habits. `lots` draws the stretch; None where nothing is drawn.
    """

    taste: Taste
    store: int
    window: Window
    screen: Screen
    display: Display
    basket_categories: set[int]
    closed_types: set[int]
    picks: list[Pick] = field(default_factory=list)
    categories: set[int] = field(default_factory=set)
    roles: tuple[Role, ...] = ROLES
    lots: Lots | None = None
    n_habits: int = field(init=False)

    def __post_init__(self) -> None:
        """Count the habits."""
        self.n_habits = self.roles.count(Role.HABIT)

    @property
    def n_open(self) -> int:
        """How many items are still missing."""
        return len(self.roles) - len(self.picks)
