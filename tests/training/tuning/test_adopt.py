from __future__ import annotations

from pathlib import Path

import pytest

from training.config import Study, parse_study, shipped_text
from training.errors import TuningError
from training.tuning import adopt as adopting
from training.tuning.adopt import adopt, adopted
from training.tuning.config_text import with_values

STUDY = Study("churn-1", 9, ("2017-08-14",), "auc", 0.9, "d1", "2018-01-01", 1, 0.8, 0.1, 0.05, 0.15)
SHIPPED = "n_cutoffs = 12\n\n[search]\nn_cutoffs = {low = 2, high = 20}\n"


def tuned(low: float | None) -> str:
    study = Study(**{**vars(STUDY), "gain_low": low, "gain_high": None if low is None else 0.15})
    return with_values(SHIPPED, {"n_cutoffs": 4}, study)


def test_a_gain_above_noise_ships_with_its_study() -> None:
    assert adopted(tuned(0.05), SHIPPED, where="") == tuned(0.05)


def test_what_was_not_searched_stays_as_it_ships_today() -> None:
    today = "seed = 5\n" + SHIPPED
    assert adopted(tuned(0.05), today, where="") == "seed = 5\n" + tuned(0.05)


@pytest.mark.parametrize("low", [-0.01, 0.0, None])
def test_within_noise_what_ships_stays_and_the_study_confirms_it(low: float | None) -> None:
    text = adopted(tuned(low), SHIPPED, where="")
    assert text.startswith(SHIPPED)
    study = parse_study(text, where="")
    assert study is not None
    assert (study.name, study.value, study.gain, study.gain_low) == ("churn-1", 0.8, 0.0, None)


@pytest.mark.parametrize(
    "text", ["n_cutoffs = 4\n", with_values(SHIPPED, {}, Study("hand", 1, (), "auc", 1.0, "d", "2018"))]
)
def test_what_was_not_searched_is_not_adopted(text: str) -> None:
    with pytest.raises(TuningError, match="only what was searched is adopted"):
        adopted(text, SHIPPED, where="churn.toml")


def test_the_configs_of_a_home_are_written_to_those_that_ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adopting, "SHIPPED", tmp_path / "shipped")
    for folder in ("shipped/peers", "home/configs/peers"):
        (tmp_path / folder).mkdir(parents=True)
    churn = with_values(shipped_text("churn"), {"blend.boosted_weight": 0.25}, STUDY)
    (tmp_path / "home/configs/churn.toml").write_text(churn, encoding="utf-8")
    ease = with_values(shipped_text("peers/ease-stretch"), {"ridge": 1.0}, Study(**{**vars(STUDY), "gain_low": -1.0}))
    (tmp_path / "home/configs/peers/ease-stretch.toml").write_text(ease, encoding="utf-8")
    lines = adopt(tmp_path / "home")
    assert [line.split(",")[0] for line in lines] == ["churn: adopted", "peers/ease-stretch: confirmed what ships"]
    assert (tmp_path / "shipped/churn.toml").read_text(encoding="utf-8") == churn
    assert "ridge = 1.0" not in (tmp_path / "shipped/peers/ease-stretch.toml").read_text(encoding="utf-8")
    with pytest.raises(TuningError, match="has no chrun: there are churn, peers/ease-stretch"):
        adopt(tmp_path / "home", ["chrun"])
