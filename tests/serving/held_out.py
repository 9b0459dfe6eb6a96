"""An `experiments.toml` for tests that holds one customer of the tiny shop out and treats another."""

from __future__ import annotations

from serving.experiments import HOLDOUT, Experiments
from serving.experiments_toml import default_experiments_text, parse_experiments
from tests.serving.tiny import AS_OF

EXPERIMENT = """
[[experiment]]
name = "points"
start = 2018-01-01T00:00:00Z
end = 2018-03-01T00:00:00Z

[[experiment.arm]]
name = "control"
share = 0.25

[[experiment.arm]]
name = "treated"
share = 0.75
[experiment.arm.policy]
"reward.kind" = "points"
"""


def text_that(*, holds_out: str, treats: str) -> str:
    """Return a file under which one customer is held out, and another one is in the treated arm."""
    for i in range(1000):
        text = default_experiments_text().replace("share = 0.0 ", "share = 0.2 ")
        text = text.replace('salt = "holdout"', f'salt = "salt-{i}"') + EXPERIMENT.replace(
            "start =", f'salt = "salt-{i}"\nstart ='
        )
        if arms_by(parse_experiments(text), (holds_out, treats)) == [HOLDOUT, "treated"]:
            return text
    raise AssertionError("no salt draws them so")


def arms_by(experiments: Experiments, customer_ids: tuple[str, ...]) -> list[str | None]:
    """Return the customers' arms."""
    assigned = [experiments.assign(each, AS_OF) for each in customer_ids]
    return [None if each is None else each.arm for each in assigned]
