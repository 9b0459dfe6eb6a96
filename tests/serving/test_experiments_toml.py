"""`experiments.toml`: what it says, and every mistake at once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from serving.errors import ExperimentsError
from serving.experiments import Arm, Holdout
from serving.experiments_toml import default_experiments_text, parse_experiments

EXPERIMENT = """
[[experiment]]
name = "bolder-stretch"
start = 2018-01-08T05:00:00Z
end = "2018-03-05T00:00:00-05:00"

[[experiment.arm]]
name = "control"
share = 0.5

[[experiment.arm]]
name = "bold"
share = 0.25
[experiment.arm.policy]
"stretch.link_bonus" = 0.5
"reward.kind" = "points"
"""


def mistakes_of(text: str) -> list[str]:
    with pytest.raises(ExperimentsError) as refused:
        parse_experiments(default_experiments_text() + text)
    return str(refused.value).split("; ")


def changed(old: str, new: str) -> str:
    assert old in EXPERIMENT
    return EXPERIMENT.replace(old, new)


def test_the_file_that_ships_holds_nobody_out_and_runs_nothing() -> None:
    found = parse_experiments(default_experiments_text())
    assert found.holdout == Holdout(0.0, "holdout")
    assert found.experiments == ()


def test_the_example_in_the_file_that_ships_is_an_experiment() -> None:
    text = default_experiments_text()
    example = text[text.index("# [[experiment]]") :].replace("\n# ", "\n").removeprefix("# ").replace("\n#\n", "\n")
    (found,) = parse_experiments(text + "\n" + example).experiments
    assert [arm.name for arm in found.arms] == ["control", "bold"]


def test_every_number_of_the_file_that_ships_says_its_unit_and_range() -> None:
    lines = default_experiments_text().split("# An experiment")[0].splitlines()
    numbers = [line for line in lines if " = " in line and not line.startswith("#") and "salt" not in line]
    assert len(numbers) == 8
    assert all("#" in line and "[" in line and "]" in line for line in numbers)


def test_an_experiment_has_arms_dates_and_policies() -> None:
    (found,) = parse_experiments(default_experiments_text() + EXPERIMENT).experiments
    assert found.name == found.salt == "bolder-stretch"
    assert found.start == datetime(2018, 1, 8, 5, tzinfo=UTC)
    assert found.end == datetime(2018, 3, 5, 5, tzinfo=UTC)
    assert found.arms == (
        Arm("control", 0.5),
        Arm("bold", 0.25, {"stretch.link_bonus": 0.5, "reward.kind": "points"}),
    )


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ('name = "bold"', 'nme = "bold"', "experiment 1 (bolder-stretch), arm 2.nme: unknown key"),
        ('name = "bolder-stretch"', 'name = "Bolder"', "experiment 1.name: must be small letters"),
        ('name = "bolder-stretch"', 'name = "holdout"', "experiment 1 (holdout): the name 'holdout' is taken"),
        ("start = 2018-01-08T05:00:00Z", "", "experiment 1 (bolder-stretch).start: missing"),
        ("start = 2018-01-08T05:00:00Z", "start = 2018-01-08T05:00:00", "start: must be a moment with its zone"),
        ("start = 2018-01-08T05:00:00Z", "start = 2018-04-08T05:00:00Z", "end: must be after start"),
        ("share = 0.25", "share = 0.75", "the shares of its arms add up to 1.25"),
        ("share = 0.25", "share = true", "arm 2 (bold).share: must be a number above 0 and up to 1, found True"),
        ("share = 0.25", "share = nan", "arm 2 (bold).share: must be a number above 0 and up to 1, found nan"),
        ('name = "bold"', 'name = "control"', "arm 'control' stands there twice"),
        ('"stretch.link_bonus" = 0.5', '"stretch.link_bonus" = 50', "policy: stretch.link_bonus: must lie in 0 to 5"),
        ('"stretch.link_bonus" = 0.5', '"stretch.bonus" = 50', "policy: stretch.bonus: no such key"),
        ('"stretch.link_bonus" = 0.5', "stretch.link_bonus = 0.5", "'stretch' must be a full key in quotes"),
        ('"stretch.link_bonus" = 0.5', '"consent.email" = true', "consent.email is the same for the whole shop"),
        ('"stretch.link_bonus" = 0.5', '"reward.min_value" = 9.0', "reward.min_value: 9.0 is above reward.max_value"),
    ],
)
def test_a_mistake_is_named_with_its_place(old: str, new: str, mistake: str) -> None:
    assert mistake in mistakes_of(changed(old, new))[0]


def test_a_control_with_a_policy_of_its_own_is_refused() -> None:
    own = "share = 0.5\npolicy = { 'stretch.link_bonus' = 1.0 }"
    assert mistakes_of(changed("share = 0.5", own)) == [
        "experiment 1 (bolder-stretch), arm 1: is the control, so it has no policy of its own"
    ]


def test_one_arm_is_no_experiment() -> None:
    assert mistakes_of(EXPERIMENT[: EXPERIMENT.index('[[experiment.arm]]\nname = "bold"')]) == [
        "experiment 1 (bolder-stretch): needs two arms or more, the first of them the control, found 1"
    ]


def test_a_name_that_stands_there_twice_is_refused() -> None:
    assert mistakes_of(EXPERIMENT + EXPERIMENT) == [
        "experiment 'bolder-stretch' stands there twice",
        "salt 'bolder-stretch' stands there twice",
    ]


def test_all_mistakes_are_named_at_once() -> None:
    text = "[holdout]\nshare = 0.9\nsalt = 'a'\n[lift]\nday = 3\n[other]\n" + changed("share = 0.25", "share = 2")
    with pytest.raises(ExperimentsError) as refused:
        parse_experiments(text)
    message = str(refused.value)
    for part in (
        "other: unknown section",
        "holdout.share",
        "lift.day: unknown key",
        "lift.days: missing",
        "share: must",
    ):
        assert part in message


@pytest.mark.parametrize("text", ["[holdout", "experiment = 3", "[experiment]\nname = 'a'"])
def test_what_is_no_such_file_is_refused(text: str) -> None:
    with pytest.raises(ExperimentsError):
        parse_experiments(text)


@pytest.mark.parametrize("text", ["a =", "a = " + "[" * 3000, "a = " + "{a=" * 3000, "a = 1" + "0" * 5000])
def test_what_is_no_toml_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(ExperimentsError, match=r"^not TOML: [^\n]+$"):
        parse_experiments(text)
