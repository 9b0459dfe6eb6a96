"""Kept results: what comes back is what was kept, for the same recipe, data and days only; damaged ones are missing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from serving.decisioning.policy import default_policy
from tests.training.gate_judgements import CUTOFFS, judgement
from training.gate_rules import decide
from training.results import KEPT_A_MODEL, KeptResults, ModelRecipe, ModelResults, ResultsKey

KEY = ResultsKey(ModelRecipe("habit", {"n_cutoffs": 12, "trees": {"n_trees": 5}}, "c0de"), "da7a", 10**15, CUTOFFS)
RESULTS = ModelResults(KEY, judgement(), {"gains.png": b"\x89PNG picture"}, {"intercept": 0.5})


@pytest.fixture
def kept(tmp_path: Path) -> KeptResults:
    return KeptResults.under(tmp_path)


def test_what_was_kept_comes_back(kept: KeptResults) -> None:
    kept.keep(RESULTS)
    found = kept.load(KEY)
    assert found is not None
    assert found.judgement == RESULTS.judgement
    assert (found.pictures, found.numbers) == (RESULTS.pictures, RESULTS.numbers)
    assert found.judgement.rows[0].sums is not None
    assert found.judgement.rows[0].sums.value == RESULTS.judgement.rows[0].ours
    bounds = default_policy().gate
    assert decide(found.judgement, judgement(recall=0.1), bounds) == decide(judgement(), judgement(recall=0.1), bounds)


def test_rows_that_share_their_sums_keep_them_once(kept: KeptResults) -> None:
    rows = RESULTS.judgement.rows
    shared = replace(RESULTS, judgement=replace(RESULTS.judgement, rows=(*rows, replace(rows[0], baseline="other"))))
    kept.keep(shared)
    found = kept.load(KEY)
    assert found is not None
    assert found.judgement.rows[0].sums is found.judgement.rows[1].sums


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, data="other"),
        replace(KEY, known_until_us=1),
        replace(KEY, cutoffs=CUTOFFS[1:]),
        replace(KEY, recipe=replace(KEY.recipe, code="other")),
        replace(KEY, recipe=replace(KEY.recipe, config={"n_cutoffs": 12, "trees": {"n_trees": 6}})),
    ],
)
def test_other_data_days_code_or_config_are_other_results(kept: KeptResults, other: ResultsKey) -> None:
    kept.keep(RESULTS)
    assert kept.load(other) is None


def test_a_config_that_went_through_json_is_the_same(kept: KeptResults) -> None:
    recipe = ModelRecipe("habit", {"knots": (1, 2), "share": 0.5}, "c0de")
    kept.keep(replace(RESULTS, key=replace(KEY, recipe=recipe)))
    assert kept.load(replace(KEY, recipe=replace(recipe, config={"share": 0.5, "knots": [1, 2]}))) is not None


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half of a file", None])
def test_a_damaged_file_counts_as_missing_and_is_replaced(kept: KeptResults, damage: bytes | None) -> None:
    kept.keep(RESULTS)
    path = kept.path("habit", KEY.digest)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert kept.load(KEY) is None
    kept.keep(RESULTS)
    assert kept.load(KEY) is not None


def test_results_of_another_name_are_not_taken_for_it(kept: KeptResults) -> None:
    kept.keep(RESULTS)
    wrong = kept.path("habit", "0" * 16)
    wrong.write_bytes(kept.path("habit", KEY.digest).read_bytes())
    assert kept.find("habit", "0" * 16) is None


def test_two_trainings_that_keep_the_same_at_once_leave_it_whole(kept: KeptResults) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(kept.keep, [RESULTS] * 8))
    assert kept.load(KEY) is not None
    assert [path.name for path in (kept.folder / "habit").iterdir()] == [f"{KEY.digest}.npz"]


def test_the_latest_used_stay(kept: KeptResults) -> None:
    keys = [replace(KEY, known_until_us=i) for i in range(KEPT_A_MODEL + 2)]
    for key in keys:
        kept.keep(replace(RESULTS, key=key))
        kept.load(keys[0])
    assert kept.load(keys[0]) is not None
    assert kept.load(keys[1]) is None
    assert kept.load(keys[-1]) is not None
