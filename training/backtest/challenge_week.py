"""One week of challenges after a cutoff: what ours and the rivals' asked for, and what came of them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from serving.bundle import Bundle, open_bundle, write_bundle
from serving.shelf import Shelf
from training.assembly import FOR_CHALLENGE, Assembly, Models, numbers_of
from training.backtest.challenge_rivals import rival_items
from training.backtest.observation import OURS
from training.challenge_judging import in_a_language_that_ships
from training.challenge_weeks import (
    COUNTS_ROW,
    N_ITEMS,
    PLACE,
    REWARD_COST,
    TARGET,
    ChallengeRows,
    challenge_items,
    challenge_rows,
    is_done,
)
from training.history import WEEK_DAYS, History

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

STRETCH_PLACE = N_ITEMS - 1
STRETCH_COLUMNS = ("category_row", "is_lapsed", "price_ratio", "paid_ratio", "paid_margin")
ABOUT = (c.N_BASKETS, c.N_BASKETS_12W, c.UNIT_PRICE_MEAN)


@dataclass(frozen=True)
class WeekSeen:
    """The challenges of one week and what came of them; all in the order of `rows`, which are ours.

    Attributes
    ----------
    rows
        Our challenges: chances, chance of a trip, what was done.
    done
        By ranker, whether each of its three items was bought, shape ``(n, 3)``.
    stretches
        By ranker, of each stretch: category_row (−1 none), `is_lapsed` (had been bought more than 26 weeks before),
        `price_ratio` (the category's mean price ÷ what the customer usually pays a piece), and where it was bought
        `paid_ratio` (paid a piece ÷ the same) and `paid_margin` (money; 0 where it was not bought). NaN is unknown.
    about
        Of each customer the columns of `ABOUT`.
    margins, costs
        The money that each of our items brings when done, shape ``(n, 3)``, and the reward's cost, ``(n,)``.
    n_asked
        How many customers could have had a challenge.
    """

    rows: ChallengeRows
    done: Mapping[str, BoolArray]
    stretches: Mapping[str, pd.DataFrame]
    about: pd.DataFrame
    margins: FloatArray
    costs: FloatArray
    n_asked: int


@dataclass(frozen=True)
class WeekMaker:
    """Makes the bundles of weeks after `cutoff`, by models that had learned up to it."""

    models: Models
    history: History
    cutoff: Moment
    policy_text: str

    def bundle(self, monday: Moment, completion: Mapping[str, float]) -> Bundle:
        """Return the bundle of what was known on `monday`, with what a challenge needs; its files are gone again."""
        with tempfile.TemporaryDirectory() as folder:
            return open_bundle(self.written(monday, completion, Path(folder)), verify=False)

    def written(self, monday: Moment, completion: Mapping[str, float], folder: Path) -> Path:
        """Write that bundle under `folder`, and return where it is."""
        numbers = numbers_of(self.models, self.history.until(self.cutoff), completion)
        assembly = Assembly(self.models, in_a_language_that_ships(self.policy_text), FOR_CHALLENGE)
        contents = assembly.contents(self.history.until(monday), monday, numbers)
        return folder / write_bundle(contents, folder)


def see_week(bundle: Bundle, history: History, monday: Moment, asked: IntArray) -> WeekSeen:
    """Return the challenges of `asked` customers in the week from `monday`, the rivals', and what came of them."""
    ours = challenge_items(bundle, history, monday, asked)
    rows = challenge_rows(ours, bundle, history, monday)
    customers, known = rows.customers, history.until(monday)
    lines = history.purchases_after(monday, WEEK_DAYS)
    items = {OURS: ours, **rival_items(known, monday, bundle, customers)}
    shelf = Shelf(bundle, margin_rate=bundle.policy.margin.rate_where_unknown)
    margins = np.nan_to_num(shelf.margins()[ours[c.PRODUCT_ROW].to_numpy()] * ours[TARGET].to_numpy())
    about = known.features("customers", monday, [c.CUSTOMER_ROW, *ABOUT]).set_index(c.CUSTOMER_ROW).reindex(customers)
    prices = Prices(known, monday, bundle.policy.margin.rate_where_unknown)
    done = {name: is_done(each, lines).reshape(-1, N_ITEMS) for name, each in items.items()}
    stretches = _stretches(items, bundle)
    bought = {name: each[done[name][:, STRETCH_PLACE]] for name, each in stretches.items()}
    return WeekSeen(
        rows=rows,
        done=done,
        stretches={name: prices.of(each, about, _among(lines, bought[name])) for name, each in stretches.items()},
        about=about.astype(np.float64).reset_index(drop=True),
        margins=margins.reshape(-1, N_ITEMS),
        costs=ours.loc[ours[PLACE] == 0, REWARD_COST].to_numpy(),
        n_asked=len(asked),
    )


def _stretches(items: Mapping[str, pd.DataFrame], bundle: Bundle) -> dict[str, pd.DataFrame]:
    """Return customer_row and category_row of each ranker's stretch: of a product, the category that it is in."""
    found = {}
    for name, each in items.items():
        last = each[each[PLACE] == STRETCH_PLACE]
        rows = last[COUNTS_ROW].to_numpy(dtype=np.int64)
        if c.PRODUCT_ROW in last:
            rows = bundle.products.category[last[c.PRODUCT_ROW].to_numpy()].astype(np.int64)
        found[name] = pd.DataFrame({c.CUSTOMER_ROW: last[c.CUSTOMER_ROW].to_numpy(), c.CATEGORY_ROW: rows})
    return found


def _among(lines: pd.DataFrame, bought: pd.DataFrame) -> pd.DataFrame:
    """Return the lines of these customers' categories."""
    return lines.merge(bought, on=[c.CUSTOMER_ROW, c.CATEGORY_ROW], how="inner")


class Prices:
    """What categories cost and who had bought them, as of a moment."""

    def __init__(self, known: History, moment: Moment, margin_rate: float) -> None:
        wanted = [c.CATEGORY_ROW, c.PRICE_MEAN, c.MARGIN_RATE]
        self._categories = known.features("categories", moment, wanted).set_index(c.CATEGORY_ROW).astype(np.float64)
        owned = known.features("customer_categories", moment, [c.CUSTOMER_ROW, c.CATEGORY_ROW])
        self._owned = pd.MultiIndex.from_frame(owned)
        self._margin_rate = margin_rate

    def of(self, stretch: pd.DataFrame, about: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
        """Return the columns of `STRETCH_COLUMNS` for each customer's category; `about` in the same order."""
        pairs = pd.MultiIndex.from_frame(stretch)
        usual = about[c.UNIT_PRICE_MEAN].to_numpy(dtype=np.float64)
        usual = np.where(usual > 0, usual, np.nan)
        about_them = self._categories.reindex(stretch[c.CATEGORY_ROW])
        bought = lines[lines[c.IS_PURCHASE]].groupby([c.CUSTOMER_ROW, c.CATEGORY_ROW])[[c.QUANTITY, c.AMOUNT]].sum()
        paid = bought.reindex(pairs).astype(np.float64)
        pieces, amount = paid[c.QUANTITY].to_numpy(), paid[c.AMOUNT].to_numpy()
        rate = about_them[c.MARGIN_RATE].fillna(self._margin_rate).to_numpy()
        each = np.divide(amount, pieces, out=np.full(len(pieces), np.nan), where=pieces > 0)
        columns = (
            stretch[c.CATEGORY_ROW].to_numpy(),
            pairs.isin(self._owned),
            about_them[c.PRICE_MEAN].to_numpy() / usual,
            each / usual,
            np.where(pieces > 0, np.nan_to_num(amount) * rate, 0.0),
        )
        return pd.DataFrame(dict(zip(STRETCH_COLUMNS, columns, strict=True)))
