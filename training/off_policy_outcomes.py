"""What came of each drawn decision within the days that count, and what was known of its customer before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from features import columns as c
from serving.state.events import Event, EventType
from training.lift_doings import Doings, is_leaving
from training.lift_outcomes import DAY_US
from training.off_policy import Choices, FloatArray, IntArray
from training.off_policy_choices import Looked

TAKEN, MARGIN, LEFT, VALUE = "taken", "margin", "left", "value"
OUTCOMES: Mapping[str, str] = {
    TAKEN: "share whose drawn stretch was bought, or whose first offer was redeemed",
    MARGIN: "what they paid in those days, less what the goods cost and what was returned",
    LEFT: "message channels left",
    VALUE: "margin, less rewards that lower no price, less what each left channel costs",
}
"""What is valued, a decision; `value` decides."""

KindOf = Callable[[str], tuple[str, str] | None]
"""The product type and the category of a product by the bundle, None where it is not known."""

_LEVELS = ("product", "product_type", "category")


class Windows:
    """Sums what customers did in a span of time about each of some decisions; a customer may have several."""

    def __init__(self, looked: Sequence[Looked]) -> None:
        self.customers = pd.Index(sorted({each.customer_id for each in looked}))
        self.customer: IntArray = self.customers.get_indexer(pd.Index([each.customer_id for each in looked])).astype(
            np.int64
        )
        self._at_us: IntArray = np.array([each.at_us for each in looked], dtype=np.int64)

    def sums(self, rows: pd.DataFrame, weights: FloatArray, low_us: int, high_us: int) -> FloatArray:
        """Return the sum of the weights of the customer's rows in [low_us, high_us) of each decision: ``(n,)``."""
        code = self.customers.get_indexer(pd.Index(rows[c.CUSTOMER_ID]))
        at_us = rows[c.AT_US].to_numpy(np.int64)
        order = np.lexsort((at_us, code))
        code, at_us = code[order], at_us[order]
        total = np.concatenate([[0.0], np.cumsum(weights[order])])
        ends = np.searchsorted(code, np.arange(len(self.customers) + 1))
        found = np.zeros(len(self.customer))
        for i, (who, at) in enumerate(zip(self.customer, self._at_us, strict=True)):
            start = ends[who]
            mine = at_us[start : ends[who + 1]]
            low, high = np.searchsorted(mine, [at + low_us, at + high_us])
            found[i] = total[start + high] - total[start + low]
        return found


def outcomes_of(
    looked: Sequence[Looked], doings: Doings, taken: FloatArray, days: int, unsubscribe_cost: float
) -> dict[str, FloatArray]:
    """Return each outcome of each decision in the `days` from it on: ``(n,)``."""
    windows, span = Windows(looked), days * DAY_US
    purchases, events, rewards = doings.purchases, doings.events, doings.rewards
    margin = windows.sums(purchases, purchases[c.MARGIN].to_numpy(np.float64), 0, span)
    left = windows.sums(events, np.asarray(is_leaving(events), dtype=np.float64), 0, span)
    granted = windows.sums(rewards, rewards[c.COST].to_numpy(np.float64), 0, span)
    return {TAKEN: taken, MARGIN: margin, LEFT: left, VALUE: margin - granted - unsubscribe_cost * left}


def taken_of(looked: Sequence[Looked], log: Iterable[Event], kind_of: KindOf, days: int) -> FloatArray:
    """Return whether what each decision drew was bought, or its first offer redeemed, in the days after: ``(n,)``."""
    open_by: dict[str, list[int]] = defaultdict(list)
    for place, each in enumerate(looked):
        open_by[each.customer_id].append(place)
    taken = np.zeros(len(looked))
    for event in log:
        for place in open_by.get(event.customer_id, ()):
            each = looked[place]
            if 0 <= event.at_us - each.at_us < days * DAY_US and _is_taken(each, event, kind_of):
                taken[place] = 1.0
    return taken


def choices_of(looked: Sequence[Looked], purchases: pd.DataFrame, before_days: int) -> Choices:
    """Return the decisions as arrays; each option is described by its weight, and by what its customer bought before.

    The other policy's odds are taken over what the log shows: nothing is outside any more.
    """
    windows = Windows(looked)
    sizes = np.array([len(each.draw.among) for each in looked], dtype=np.int64)
    start = np.concatenate([[0], np.cumsum(sizes)])
    among = [option for each in looked for option in each.draw.among]
    places = [[option.id for option in each.draw.among].index(each.draw.chosen) for each in looked]
    inside = np.repeat([1.0 - each.outside for each in looked], sizes)
    return Choices(
        windows.customer,
        start,
        start[:-1] + np.array(places, dtype=np.int64),
        np.array([option.probability for option in among]),
        np.array([odds for each in looked for odds in each.target]) / inside,
        np.column_stack([_option_features(looked), np.repeat(_before(windows, purchases, before_days), sizes, axis=0)]),
    )


def _option_features(looked: Sequence[Looked]) -> FloatArray:
    """Return of each option its weight, its share of the best one's, whether it is the best, and of how many."""
    rows = []
    for each in looked:
        best = max(option.weight for option in each.draw.among)
        for place, option in enumerate(each.draw.among):
            share = option.weight / best if best > 0 else 0.0
            rows.append((option.weight, share, float(place == 0), float(len(each.draw.among))))
    return np.array(rows, dtype=np.float64)


def _before(windows: Windows, purchases: pd.DataFrame, before_days: int) -> FloatArray:
    """Return of each decision the margin and the lines that its customer bought in the days before it."""
    span = before_days * DAY_US
    is_bought = np.asarray(purchases[c.QUANTITY] > 0, dtype=np.float64)
    margin = purchases[c.MARGIN].to_numpy(np.float64)
    return np.column_stack([windows.sums(purchases, each, -span, 0) for each in (margin, is_bought)])


def _is_taken(looked: Looked, event: Event, kind_of: KindOf) -> bool:
    if looked.counts is None:
        return event.type is EventType.REDEEM and event.offer_id == looked.draw.chosen
    if event.type is not EventType.PURCHASE or event.product_id is None or event.quantity <= 0:
        return False
    kinds = (event.product_id, *(kind_of(event.product_id) or ("", "")))
    return dict(zip(_LEVELS, kinds, strict=True))[looked.counts["level"]] == looked.counts["id"]
