"""The catalogue names what is built, and what is built keeps what the catalogue says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features import columns as c
from features.asof import Moment
from features.build import GROUPS, LABELS, FeatureStore
from features.catalogue import UNITS, catalogue, features_of, markdown

PAGE = Path(__file__).parents[2] / "docs" / "features.md"
NAMED = {value for name, value in vars(c).items() if name.isupper()}


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "run: python -m features.catalogue > docs/features.md"


@pytest.mark.parametrize("name", GROUPS)
def test_every_column_that_is_built_is_described_in_its_order(
    shop_features: FeatureStore, shop_moment: Moment, name: str
) -> None:
    built = pq.read_schema(shop_features.path(name, shop_moment)).names

    assert [feature.name for feature in features_of(GROUPS[name])] == built


def test_every_label_is_described(shop_features: FeatureStore, shop_moment: Moment) -> None:
    built = list(shop_features.purchases_after(shop_moment, 7).columns)

    assert [feature.name for feature in features_of(LABELS)] == built


def test_every_name_stands_in_columns() -> None:
    assert {feature.name for feature in catalogue()} - NAMED == set()


def test_a_group_names_a_feature_once_and_marks_its_grain() -> None:
    for group in GROUPS.values():
        names = [feature.name for feature in features_of(group)]
        assert len(names) == len(set(names)), group.name
        assert {each.name for each in features_of(group) if each.is_key} == set(group.grain), group.name


def bounds(values: pd.Series, unit: str) -> tuple[bool, str]:
    """Return whether values are what their unit says, and what that is."""
    given = values.dropna()
    if unit in {"row", "count"}:
        return bool((given >= 0).all() and (given == np.floor(given)).all()), "whole and not negative"
    if unit in {"weight", "days", "quantity", "money", "ratio"}:
        return bool((given >= 0).all() and np.isfinite(given.to_numpy(dtype=float)).all()), "finite and not negative"
    if unit == "share":
        return bool(given.between(0, 1).all()), "between 0 and 1"
    if unit == "rate":
        return bool((given <= 1).all()), "at most 1"
    return unit in UNITS, "known"


@pytest.mark.parametrize("name", GROUPS)
def test_values_are_what_their_units_say(shop_features: FeatureStore, shop_moment: Moment, name: str) -> None:
    frame = shop_features.read(name, shop_moment)

    for feature in features_of(GROUPS[name]):
        holds, claim = bounds(frame[feature.name], feature.unit)
        assert holds, f"{name}.{feature.name} ({feature.unit}) is not {claim}"


@pytest.mark.parametrize("name", GROUPS)
def test_counts_and_rows_are_never_null(shop_features: FeatureStore, shop_moment: Moment, name: str) -> None:
    frame = shop_features.read(name, shop_moment)
    counts = [each.name for each in features_of(GROUPS[name]) if each.unit == "count"]

    assert frame[[*GROUPS[name].grain, *counts]].notna().all(axis=None)
