"""Best sellers in place of the discovery model, where some product of each stretch is wanted and hardly any matters.

Replayed weeks of challenges ask whether a stretch's category was bought, whatever product was shown for it: choosing
that product by the model takes as long as all the rest of a replay.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from features import columns as c
from features.asof import Moment
from training.history import History
from training.ragged import best_of_each


@dataclass(frozen=True)
class BestSellers:
    """Chooses the `n_best` products of a category that most customers bought in four weeks."""

    n_best: int = 3

    def best_products(self, history: History, moment: Moment, stretches: pd.DataFrame) -> pd.DataFrame:
        """Return customer_row, category_row, product_row and rank (1 is best) for each customer × new category."""
        sold = history.features("products", moment, [c.PRODUCT_ROW, c.N_CUSTOMERS_4W])
        shelf = history.tables.read("products", [c.PRODUCT_ROW, c.CATEGORY_ROW, c.IS_MERCHANDISE])
        sold = sold.merge(shelf[shelf[c.IS_MERCHANDISE]], on=c.PRODUCT_ROW)
        best = best_of_each(sold, c.CATEGORY_ROW, c.N_CUSTOMERS_4W, n=self.n_best, ties=[c.PRODUCT_ROW])
        ranked = best[[c.CATEGORY_ROW, c.PRODUCT_ROW]].assign(
            **{c.RANK: (best.groupby(c.CATEGORY_ROW).cumcount() + 1).astype("int32")}
        )
        return stretches[[c.CUSTOMER_ROW, c.CATEGORY_ROW]].merge(ranked, on=c.CATEGORY_ROW)

    def artifacts(self) -> dict[str, str]:
        """Return nothing: nothing was learned."""
        return {}
