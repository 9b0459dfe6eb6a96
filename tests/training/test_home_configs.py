"""A home's own settings come before the shipped ones, and a broken file says where and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.churn import ChurnConfig
from training.config import load_config, shipped_text
from training.errors import ConfigError
from training.home_configs import SHIPPED, Configs
from training.learners import SOURCES, learners, own_settings, settings_record, with_config

STUDY = """
[study]
name = "churn-1"
trials = 3
cutoffs = ["2017-08-14"]
metric = "auc"
value = 0.8
data_digest = "3a0c"
date = "2017-12-31"
"""


def own(home: Path, text: str, name: str = "churn") -> Path:
    path = home / "configs" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_without_files_of_its_own_a_home_goes_by_the_shipped_settings(tmp_path: Path) -> None:
    assert Configs(tmp_path).load(ChurnConfig, "churn").config == load_config(ChurnConfig, "churn")
    assert Configs(None).load(ChurnConfig, "churn").where == SHIPPED
    assert own_settings(learners(is_quick=True, home=tmp_path)) == ""


def test_a_file_of_the_home_comes_before_the_shipped_one_and_is_named(tmp_path: Path) -> None:
    shipped, _, _ = shipped_text("churn").partition("[study]")
    own(tmp_path, shipped.replace("n_cutoffs = 12", "n_cutoffs = 7", 1) + STUDY)
    chosen = {each.name: each for each in learners(is_quick=False, home=tmp_path)}
    assert chosen["churn"].config.n_cutoffs == 7
    assert (
        chosen["stretch"].config
        == SOURCES["stretch"].learner(Configs().load(SOURCES["stretch"].config_class, "stretch")).config
    )
    assert own_settings(chosen.values()) == "settings of this home instead of the shipped ones: churn (study churn-1)"


def test_its_quick_table_counts_as_well(tmp_path: Path) -> None:
    own(tmp_path, "n_cutoffs = 7\n[quick]\nn_cutoffs = 2\n")
    assert Configs(tmp_path).load(ChurnConfig, "churn", is_quick=True).config.n_cutoffs == 2


def test_the_manifest_learns_where_settings_come_from_without_a_path_of_this_machine(tmp_path: Path) -> None:
    own(tmp_path, "n_cutoffs = 7\n" + STUDY)
    record = settings_record(learners(is_quick=False, home=tmp_path))
    assert record["churn"]["from"] == "configs/churn.toml"
    assert record["churn"]["study"]["name"] == "churn-1"
    assert record["stretch"]["from"] == SHIPPED
    assert str(tmp_path) not in str(record)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_cutofs = 7", "unknown key n_cutofs"),
        ("n_cutoffs =", "not TOML"),
        ("n_cutoffs = 'many'", "n_cutoffs is 'many'"),
        ("[study]\nname = 'x'", "trials is missing"),
    ],
)
def test_a_broken_file_is_named_with_the_fault_and_the_way_back(tmp_path: Path, text: str, message: str) -> None:
    path = own(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as caught:
        learners(is_quick=False, home=tmp_path)
    assert str(path) in str(caught.value)
    assert "delete it to go back to the shipped settings" in str(caught.value)


def test_a_file_that_is_no_text_is_refused_in_the_same_way(tmp_path: Path) -> None:
    path = own(tmp_path, "")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=f"{path} can't be read"):
        Configs(tmp_path).load(ChurnConfig, "churn")


def test_a_misspelt_file_is_refused_rather_than_ignored(tmp_path: Path) -> None:
    own(tmp_path, "n_cutoffs = 7", name="chrun")
    with pytest.raises(ConfigError, match=r"chrun.toml: no model of that name \(known: .*churn"):
        learners(is_quick=False, home=tmp_path)


def test_a_model_can_be_had_with_any_config() -> None:
    config = ChurnConfig(n_cutoffs=2)
    assert with_config("churn", config).config is config
    assert set(SOURCES) == {each.name for each in learners(is_quick=False)}
