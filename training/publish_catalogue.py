"""The part of a bundle that is about products, types, categories and stores rather than customers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from features.ids import hash_ids
from serving import bundle_format as form
from serving.decisioning.flags import excluded_products, flag_categories, flag_products
from serving.decisioning.policy import ListPolicy
from serving.named_products import NamedProducts
from serving.strings import StringTable
from training.history import History
from training.ragged import best_of_each, offsets_of
from training.topk import run_starts

DELISTED_AFTER_DAYS = 12 * 7
DAY_MINUTES = 24 * 60
MAX_POPULAR, MAX_STORE_POPULAR, MAX_CATEGORY_TOP, MAX_ALSO, MAX_SUBSTITUTES = 2000, 200, 20, 60, 20


@dataclass(frozen=True)
class Catalogue:
    """Products and what is known of them at `moment`; arrays are by the tables' rows.

    A product that has not sold for twelve weeks is taken to have left the shop and is not recommended.
    """

    history: History
    moment: Moment
    lists: ListPolicy

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Return all products in row order with type, category, department, and features (null when never sold)."""
        tables = self.history.tables
        products = tables.read("products").sort_values(c.PRODUCT_ROW, ignore_index=True)
        features = self.history.features("products", self.moment)
        features = features.drop(columns=[c.TYPE_ROW, c.CATEGORY_ROW], errors="ignore")
        return products.merge(features, on=c.PRODUCT_ROW, how="left")

    @cached_property
    def type_frame(self) -> pd.DataFrame:
        """Return all types in row order with their features."""
        return self._with_features("types", c.TYPE_ROW)

    @cached_property
    def category_frame(self) -> pd.DataFrame:
        """Return all categories in row order with their features."""
        return self._with_features("categories", c.CATEGORY_ROW)

    @cached_property
    def learned_price(self) -> pd.Series:
        """Return the mean price paid, in whole cents, of the last four weeks where it sold; null when never sold."""
        return self.frame[c.PRICE_4W].fillna(self.frame[c.PRICE_MEAN]).astype(np.float64).round(2)

    @cached_property
    def price(self) -> npt.NDArray[np.float32]:
        """Return what each product costs now: the source's price, else the learned one; NaN when not known."""
        given = self.frame[c.PRICE].astype(np.float64)
        return given.fillna(self.learned_price.astype(np.float64)).to_numpy(dtype=np.float32)

    @cached_property
    def is_recommendable(self) -> npt.NDArray[np.bool_]:
        """Return whether each product may be shown: merchandise, on sale, and not excluded by the policy."""
        frame = self.frame
        launched = frame[c.LAUNCHED_US].astype(np.float64)
        oldest = self.moment.day - DELISTED_AFTER_DAYS
        is_new = (launched < self.moment.us) & (launched >= oldest * 86_400_000_000.0)
        is_sold = frame[c.N_BASKETS_12W].fillna(0) > 0
        is_launched = ~(launched >= self.moment.us)
        is_on_sale = frame[c.IS_MERCHANDISE].astype(bool) & is_launched & (is_sold | is_new)
        return np.asarray(is_on_sale & ~self._listed.is_excluded, dtype=bool)

    @cached_property
    def _listed(self) -> _Listed:
        """Return which products the policy's lists mean, by their name, type, category and department."""
        frame = self.frame
        types = self.type_frame[c.PRODUCT_TYPE].to_numpy()[frame[c.TYPE_ROW].to_numpy()]
        categories = self.category_frame[c.CATEGORY].to_numpy()[frame[c.CATEGORY_ROW].to_numpy()]
        return _listed(
            tuple(frame[c.NAME]), tuple(types), tuple(categories), tuple(_texts(frame[c.DEPARTMENT])), self.lists
        )

    @cached_property
    def is_healthy(self) -> npt.NDArray[np.bool_]:
        """Return which products' attributes say that they are healthy."""
        return np.array([_attribute(text, "healthy") is True for text in self.frame[c.ATTRIBUTES]], dtype=bool)

    @cached_property
    def flags(self) -> npt.NDArray[np.uint16]:
        """Return the flags of every product (serving/bundle_format.py)."""
        frame, types, categories = self.frame, self.type_frame, self.category_frame
        type_rows, category_rows = frame[c.TYPE_ROW].to_numpy(), frame[c.CATEGORY_ROW].to_numpy()
        flags = self._listed.flags.copy()
        claims = {
            form.RECOMMENDABLE: self.is_recommendable,
            form.PRICE_LEARNED: (frame[c.PRICE].isna() & ~np.isnan(self.price)).to_numpy(),
            form.OWN_TYPE: types[c.IS_OWN].to_numpy()[type_rows],
            form.OWN_CATEGORY: categories[c.IS_OWN].to_numpy()[category_rows],
            form.PRIVATE_LABEL: frame[c.IS_PRIVATE_LABEL].fillna(False).to_numpy(),
            form.OUT_OF_STOCK: self._is_out_of_stock(),
            form.HEALTHY: self.is_healthy,
        }
        for bit, holds in claims.items():
            flags |= np.where(holds.astype(bool), np.uint16(bit), np.uint16(0))
        return flags

    def products(self) -> form.Products:
        """Return the arrays of the products."""
        frame = self.frame
        ids = frame[c.PRODUCT_ID].tolist()
        cost = frame[c.COST].astype(np.float64)
        return form.Products(
            id=StringTable.of(ids),
            hash=hash_ids(ids),
            name=StringTable.of(frame[c.NAME].tolist()),
            brand=StringTable.of(_texts(frame[c.BRAND])),
            type=frame[c.TYPE_ROW].to_numpy(dtype=np.int32),
            category=frame[c.CATEGORY_ROW].to_numpy(dtype=np.int32),
            price=self.price,
            margin=(self.price - cost.to_numpy()).astype(np.float32),
            flags=self.flags,
            p7=_rate(frame),
            launched_us=frame[c.LAUNCHED_US].fillna(0).to_numpy(dtype=np.int64).clip(min=0),
        )

    def types(self) -> form.Types:
        """Return the arrays of the product types."""
        frame = self.type_frame
        return form.Types(
            name=StringTable.of(frame[c.PRODUCT_TYPE].tolist()),
            category=frame[c.CATEGORY_ROW].to_numpy(dtype=np.int32),
            p7=_rate(frame),
        )

    def categories(self) -> form.Categories:
        """Return the arrays of the categories; their flags are those of most of their products."""
        frame = self.category_frame
        return form.Categories(
            name=StringTable.of(frame[c.CATEGORY].tolist()),
            department=StringTable.of(_texts(frame[c.DEPARTMENT])),
            p7=_rate(frame),
            price=frame[c.PRICE_MEAN].to_numpy(dtype=np.float32),
            flags=flag_categories(self.flags, self.frame[c.CATEGORY_ROW].to_numpy(dtype=np.int32), len(frame)),
        )

    def popular(self) -> form.Popular:
        """Return the products that sell best now."""
        frame = self.on_sale.sort_values([c.WEEKLY_RATE, c.PRODUCT_ROW], ascending=[False, True])
        return form.Popular(product=frame[c.PRODUCT_ROW].head(MAX_POPULAR).to_numpy(dtype=np.int32))

    def named_by_type(self, products: npt.NDArray[np.int32]) -> NamedProducts:
        """Return the products that lists name (rows), by type."""
        return NamedProducts.of(self.frame[c.TYPE_ROW].to_numpy(dtype=np.int64), len(self.type_frame), [products])

    def named_by_category(self, products: Iterable[npt.NDArray[np.integer]]) -> NamedProducts:
        """Return the products that lists name (rows, -1 for none), by category."""
        category = self.frame[c.CATEGORY_ROW].to_numpy(dtype=np.int64)
        return NamedProducts.of(category, len(self.category_frame), products)

    def category_top(self) -> form.CategoryTop:
        """Return the products of each category that sell best now."""
        best = best_of_each(self.on_sale, c.CATEGORY_ROW, c.WEEKLY_RATE, n=MAX_CATEGORY_TOP, ties=[c.PRODUCT_ROW])
        return form.CategoryTop(
            offsets=offsets_of(best[c.CATEGORY_ROW].to_numpy(), len(self.category_frame)),
            product=best[c.PRODUCT_ROW].to_numpy(dtype=np.int32),
        )

    def store_popular(self) -> form.StorePopular:
        """Return the products that sell best now in each store."""
        sold = self.history.features("store_products", self.moment)
        sold = sold[self.is_recommendable[sold[c.PRODUCT_ROW].to_numpy()] & sold[c.STORE_ROW].notna()]
        best = best_of_each(sold, c.STORE_ROW, c.N_BASKETS_H28, n=MAX_STORE_POPULAR, ties=[c.PRODUCT_ROW])
        return form.StorePopular(
            offsets=offsets_of(best[c.STORE_ROW].to_numpy(dtype=np.int64), len(self.store_frame)),
            product=best[c.PRODUCT_ROW].to_numpy(dtype=np.int32),
        )

    @cached_property
    def store_frame(self) -> pd.DataFrame:
        """Return all stores in row order."""
        return self.history.tables.read("stores").sort_values(c.STORE_ROW, ignore_index=True)

    def stores(self) -> form.Stores:
        """Return the arrays of the stores."""
        frame = self.store_frame
        ids = frame[c.STORE_ID].tolist()
        return form.Stores(
            id=StringTable.of(ids),
            hash=hash_ids(ids),
            time_zone=StringTable.of(_texts(frame[c.TIME_ZONE])),
            latitude=_degrees(frame[c.LATITUDE], 90.0),
            longitude=_degrees(frame[c.LONGITUDE], 180.0),
            opens=_minutes(frame[c.OPENS]),
            closes=_minutes(frame[c.CLOSES]),
        )

    def also(self, predicted: pd.DataFrame) -> form.AlsoBought:
        """Return the neighbours of each product among the products on sale."""
        best = self._neighbours(predicted, MAX_ALSO)
        return form.AlsoBought(
            offsets=offsets_of(best[c.PRODUCT_ROW].to_numpy(), len(self.frame)),
            product=best[c.OTHER_ROW].to_numpy(dtype=np.int32),
            score=best[c.SCORE].to_numpy(dtype=np.float32),
            lift=best[c.LIFT].to_numpy(dtype=np.float32),
            support=best[c.SUPPORT].to_numpy(dtype=np.int32),
        )

    def substitutes(self, predicted: pd.DataFrame) -> form.Substitutes:
        """Return the substitutes of each product among the products on sale."""
        best = self._neighbours(predicted, MAX_SUBSTITUTES)
        return form.Substitutes(
            offsets=offsets_of(best[c.PRODUCT_ROW].to_numpy(), len(self.frame)),
            product=best[c.OTHER_ROW].to_numpy(dtype=np.int32),
            score=best[c.SCORE].to_numpy(dtype=np.float32),
        )

    def usual_products(self, owned: pd.DataFrame) -> pd.DataFrame:
        """Return each customer's usual product of each type they bought: the one bought most of late, on sale first."""
        rows = owned[c.PRODUCT_ROW].to_numpy()
        types = self.frame[c.TYPE_ROW].to_numpy(dtype=np.int64)[rows]
        strength = owned[c.N_BASKETS_H56].to_numpy(dtype=np.float64) + 1e6 * self.is_recommendable[rows]
        pair = owned[c.CUSTOMER_ROW].to_numpy(dtype=np.int64) * len(self.type_frame) + types
        order = np.lexsort((rows, pair))
        starts = run_starts(pair[order])
        sizes = np.diff(np.append(starts, len(order)))
        best = np.repeat(np.maximum.reduceat(strength[order], starts) if len(starts) else strength, sizes)
        usual = order[strength[order] == best]
        usual = usual[run_starts(pair[usual])]
        chosen: pd.DataFrame = owned[[c.CUSTOMER_ROW, c.PRODUCT_ROW]].iloc[usual]
        return chosen.assign(**{c.TYPE_ROW: types[usual].astype(np.int32)})

    @cached_property
    def on_sale(self) -> pd.DataFrame:
        """Return the recommendable products with their weekly rate (0 where not sold yet)."""
        kept = self.frame.loc[self.is_recommendable, [c.PRODUCT_ROW, c.CATEGORY_ROW, c.WEEKLY_RATE]]
        return kept.assign(**{c.WEEKLY_RATE: kept[c.WEEKLY_RATE].fillna(0.0)})

    def _neighbours(self, predicted: pd.DataFrame, n: int) -> pd.DataFrame:
        kept = predicted[self.is_recommendable[predicted[c.OTHER_ROW].to_numpy()]]
        return best_of_each(kept, c.PRODUCT_ROW, c.SCORE, n=n, ties=[c.OTHER_ROW])

    def _with_features(self, level: str, row: str) -> pd.DataFrame:
        table = self.history.tables.read(level).sort_values(row, ignore_index=True)
        features = self.history.features(level, self.moment)
        extra = [name for name in features.columns if name == row or name not in table.columns]
        return table.merge(features[extra], on=row, how="left")

    def _is_out_of_stock(self) -> npt.NDArray[np.bool_]:
        stock = self.history.tables.read("stock")
        gone = stock[stock[c.STORE_ROW].isna() & (stock[c.AVAILABLE] <= 0)]
        return np.isin(self.frame[c.PRODUCT_ROW].to_numpy(), gone[c.PRODUCT_ROW].to_numpy())


_Texts = tuple[str, ...]


@dataclass(frozen=True)
class _Listed:
    """What the policy's lists say of each product."""

    flags: npt.NDArray[np.uint16]
    is_excluded: npt.NDArray[np.bool_]


@lru_cache(maxsize=1)  # the same products are looked up for every week that is replayed, and for the bundle
def _listed(names: _Texts, types: _Texts, categories: _Texts, departments: _Texts, lists: ListPolicy) -> _Listed:
    texts = (names, types, categories, departments)
    return _Listed(flag_products(*texts, lists), excluded_products(*texts, lists))


def _rate(frame: pd.DataFrame) -> npt.NDArray[np.float32]:
    return frame[c.WEEKLY_RATE].astype(np.float64).fillna(0.0).clip(0.0, 1.0).to_numpy(dtype=np.float32)


def _degrees(values: pd.Series, limit: float) -> npt.NDArray[np.float32]:
    """Return degrees, NaN where they are not known or not on the globe."""
    degrees = values.astype(np.float64)
    return degrees.where(degrees.abs() <= limit).to_numpy(dtype=np.float32)


def _minutes(values: pd.Series) -> npt.NDArray[np.int16]:
    """Return times of day (07:00, 22:30:00, 24:00) as minutes, -1 where there is none."""
    return np.array([minutes_of(each) for each in _texts(values)], dtype=np.int16)


def minutes_of(text: str) -> int:
    """Return the minutes since midnight of a time of day, -1 for anything else.

    Examples
    --------
    >>> minutes_of("07:30"), minutes_of("24:00"), minutes_of("noon")
    (450, 1440, -1)
    """
    match = re.fullmatch(r"(\d{1,2}):(\d\d)(:\d\d)?", text.strip())
    if match is None:
        return -1
    minutes = 60 * int(match[1]) + int(match[2])
    return minutes if minutes <= DAY_MINUTES and int(match[2]) < 60 else -1


def _texts(values: pd.Series) -> list[str]:
    return [each if isinstance(each, str) else "" for each in values]


def _attribute(text: object, name: str) -> bool | None:
    """Return what a product's attributes (JSON) say of `name`, None when nothing."""
    if not isinstance(text, str) or name not in text:
        return None
    given = json.loads(text).get(name)
    return given if isinstance(given, bool) else None
