"""The engine of a shop that experiments: each arm its policy, the holdout the common answer."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, ScoresRequest, SubstitutesRequest
from serving.arms import ExperimentEngine
from serving.bundle import Bundle
from serving.engine import Engine
from serving.experiments import HOLDOUT, Arm, Experiment, Experiments, Holdout
from serving.experiments_toml import default_experiments
from serving.state.known import Known, Live, Stock
from tests.serving.tiny import AS_OF, CUSTOMERS

REWARD = {"reward.kind": "points"}
NOTHING = default_experiments()
ANNA = ChallengeRequest(customer_id="anna")


def one_arm_for_all(policy: dict[str, str | float | bool], name: str = "points") -> Experiments:
    """An experiment whose control is so small that nobody of the tiny shop is in it."""
    arms = (Arm("control", 1e-9), Arm("treated", 1 - 1e-9, policy))
    return replace(NOTHING, experiments=(Experiment(name, AS_OF, AS_OF + timedelta(days=28), arms, name),))


def everyone_held_out() -> Experiments:
    # More than the file allows, so that the test needs no customer who happens to be drawn.
    return replace(NOTHING, holdout=Holdout(1.0))


def test_without_experiments_it_answers_as_the_engine_does(tiny_bundle: Bundle) -> None:
    ours, plain = ExperimentEngine(tiny_bundle, NOTHING), Engine(tiny_bundle)
    for customer_id in (*CUSTOMERS, "nobody"):
        request = ChallengeRequest(customer_id=customer_id)
        assert ours.challenge(request, AS_OF, "d") == plain.challenge(request, AS_OF, "d")


def test_an_arm_is_decided_for_by_its_own_policy(tiny_bundle: Bundle) -> None:
    engine = ExperimentEngine(tiny_bundle, one_arm_for_all(REWARD))
    answer = engine.challenge(ANNA, AS_OF, "d")
    assert answer["experiment"] == {"name": "points", "arm": "treated"}
    assert answer["reward"] is not None
    assert answer["reward"]["kind"] == "points"
    plain = Engine(tiny_bundle).challenge(ANNA, AS_OF, "d")
    assert plain["reward"] is not None
    assert plain["reward"]["kind"] == "discount"
    assert [each["product_id"] for each in answer["items"]] == [each["product_id"] for each in plain["items"]]


def test_the_control_gets_what_it_would_without_the_experiment(tiny_bundle: Bundle) -> None:
    plan = one_arm_for_all(REWARD)
    (experiment,) = plan.experiments
    arms = (Arm("control", 1 - 1e-9), Arm("treated", 1e-9, REWARD))
    engine = ExperimentEngine(tiny_bundle, replace(plan, experiments=(replace(experiment, arms=arms),)))
    answer = engine.challenge(ANNA, AS_OF, "d")
    assert answer["experiment"] == {"name": "points", "arm": "control"}
    assert {**answer, "experiment": None} == Engine(tiny_bundle).challenge(ANNA, AS_OF, "d")


def test_the_holdout_gets_the_answer_of_those_without_consent(tiny_bundle: Bundle) -> None:
    engine = ExperimentEngine(tiny_bundle, everyone_held_out())
    refused = Known(Live("anna", consent={"personalize": False}))
    for ask, request in (
        ("challenge", ANNA),
        ("recommendations", RecommendationsRequest(customer_id="anna")),
        ("also_bought", AlsoBoughtRequest(customer_id="anna", product_ids=["milk-1"])),
        ("substitutes", SubstitutesRequest(customer_id="anna", product_id="milk-1")),
    ):
        answer = getattr(engine, ask)(request, AS_OF, "d")
        assert not answer["personalized"]
        assert answer["experiment"] == {"name": HOLDOUT, "arm": HOLDOUT}
        assert {**answer, "experiment": None} == getattr(Engine(tiny_bundle), ask)(request, AS_OF, "d", refused)


def test_who_refused_consent_or_is_nobody_is_in_no_arm(tiny_bundle: Bundle) -> None:
    engine = ExperimentEngine(tiny_bundle, everyone_held_out())
    assert engine.challenge(ChallengeRequest(customer_id="ben"), AS_OF, "d")["experiment"] is None
    said_no = Known(Live("anna", consent={"personalize": False}))
    assert engine.challenge(ANNA, AS_OF, "d", said_no)["experiment"] is None
    assert engine.also_bought(AlsoBoughtRequest(product_ids=["milk-1"]), AS_OF, "d")["experiment"] is None
    assert engine.scores(ScoresRequest(customer_ids=["anna"]), AS_OF, "d")["experiment"] is None


def test_a_merged_customer_is_in_the_arm_of_the_id_that_stands(tiny_bundle: Bundle) -> None:
    experiment = replace(one_arm_for_all(REWARD).experiments[0], arms=(Arm("control", 0.5), Arm("treated", 0.5)))
    plan = replace(NOTHING, experiments=(experiment,))
    engine = ExperimentEngine(tiny_bundle, plan)
    guests = [f"guest-{i}" for i in range(20)]
    arms = {each: experiment.arm_of(each) for each in guests}
    assert len({arm.name for arm in arms.values() if arm}) == 2
    own = engine.challenge(ANNA, AS_OF, "d")["experiment"]
    for guest in guests:
        merged = Known(Live("anna", also=(guest,)))
        assert engine.challenge(ChallengeRequest(customer_id=guest), AS_OF, "d", merged)["experiment"] == own


def test_an_experiment_ends(tiny_bundle: Bundle) -> None:
    engine = ExperimentEngine(tiny_bundle, one_arm_for_all(REWARD))
    answer = engine.challenge(ANNA, AS_OF + timedelta(days=28), "d")
    assert answer["experiment"] is None
    assert answer["reward"] is not None
    assert answer["reward"]["kind"] == "discount"


def test_other_experiments_hold_from_the_next_call_on(tiny_bundle: Bundle) -> None:
    engine = ExperimentEngine(tiny_bundle, NOTHING)
    assert engine.challenge(ANNA, AS_OF, "d")["experiment"] is None
    engine.obey(one_arm_for_all(REWARD))
    assert engine.challenge(ANNA, AS_OF, "d")["experiment"] is not None
    engine.obey(NOTHING)
    assert engine.challenge(ANNA, AS_OF, "d")["experiment"] is None


def test_the_odds_are_the_arm_s_share(tiny_bundle: Bundle) -> None:
    plan = replace(one_arm_for_all(REWARD), holdout=Holdout(0.2))
    engine = ExperimentEngine(tiny_bundle, plan)
    assert engine.odds({"name": HOLDOUT, "arm": HOLDOUT}) == 0.2
    assert engine.odds({"name": "points", "arm": "control"}) == 1e-9
    assert engine.odds({"name": "gone", "arm": "control"}) == engine.odds(None) == Engine(tiny_bundle).odds(None) == 1.0


def test_a_challenge_not_yet_shown_is_refilled_by_the_arm_that_made_it(tiny_bundle: Bundle) -> None:
    engine = ExperimentEngine(tiny_bundle, one_arm_for_all(REWARD))
    kept = engine.challenge(ANNA, AS_OF, "d")
    out = Known(stock=Stock(1, {(kept["items"][2]["product_id"], None): 0.0}))
    engine.obey(NOTHING)
    gone = engine.replacement(kept, ANNA, AS_OF, out)
    engine.obey(one_arm_for_all(REWARD))
    still = engine.replacement(kept, ANNA, AS_OF, out)
    assert gone is not None
    assert still is not None
    assert gone["reward"] is not None
    assert still["reward"] is not None
    assert (gone["reward"]["kind"], still["reward"]["kind"]) == ("discount", "points")
    assert gone["experiment"] == still["experiment"] == kept["experiment"]


def test_an_arm_that_the_bundle_s_policy_can_t_follow_pauses_its_experiment(
    tiny_bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    plan = one_arm_for_all({"reward.min_value": 100_000.0})
    with caplog.at_level(logging.ERROR):
        engine = ExperimentEngine(tiny_bundle, plan)
    assert "experiment points pauses" in caplog.text
    assert engine.challenge(ANNA, AS_OF, "d") == Engine(tiny_bundle).challenge(ANNA, AS_OF, "d")


def test_every_call_of_the_engine_goes_by_the_arm_or_is_the_same_in_all() -> None:
    same_in_all = {"week_of", "mark_stock", "kinds", "check", "scores", "may_personalize", "knows", "customer_view"}
    same_in_all |= {"budgets", "offer_cost", "may_locate", "out_of_stock", "best_channel"}
    calls = {name for name in vars(Engine) if not name.startswith("_")}
    assert calls - same_in_all == {name for name in vars(ExperimentEngine) if not name.startswith("_")} - {"obey"}


def test_who_was_forgotten_is_in_no_arm_until_something_new_is_told(tiny_bundle: Bundle) -> None:
    engine = ExperimentEngine(tiny_bundle, everyone_held_out())
    gone = Live("anna", is_erased=True, erased_us=1)
    assert engine.challenge(ANNA, AS_OF, "d", Known(gone))["experiment"] is None
    back = replace(gone, consent={"personalize": True})
    assert engine.challenge(ANNA, AS_OF, "d", Known(back))["experiment"] is not None
