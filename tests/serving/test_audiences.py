from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from serving import bundle_format as fmt
from serving.api_audiences import AudiencesAnswer, AudiencesRequest
from serving.arms import ExperimentEngine
from serving.audiences import Audiences
from serving.bundle import Bundle, BundleContents, open_bundle, write_bundle
from serving.engine import Engine
from serving.errors import InvalidRequest
from serving.experiments import Experiments, Holdout, LiftPolicy
from serving.state.known import Live
from tests.serving.tiny import AS_OF, CUSTOMERS, Rows, tiny_contents

Build = Callable[[BundleContents], Audiences]
EVERYBODY = "customer_score >= 0"


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return lambda contents: Audiences(Engine(open_bundle(tmp_path / write_bundle(contents, tmp_path))))


@pytest.fixture
def audiences(tiny_bundle: Bundle) -> Audiences:
    return Audiences(Engine(tiny_bundle))


def find(audiences: Audiences, *said: Live, **fields: Any) -> AudiencesAnswer:
    told = {each.customer_id: each for each in said} | {other: each for each in said for other in each.also}

    def lives(customer_ids: Sequence[str]) -> Mapping[str, Live]:
        return {each: told.get(each, Live(each)) for each in customer_ids}

    answer = audiences.find(AudiencesRequest(**fields), AS_OF, "0" * 32, lives)
    TypeAdapter(AudiencesAnswer).validate_python(answer)
    return answer


def ids(answer: AudiencesAnswer) -> list[str]:
    return [each["customer_id"] for each in answer["customers"]]


def by_score() -> list[str]:
    """Return everybody who may be used, the highest score first: scores rise with the row. Ben has refused."""
    return [each for each in reversed(list(Rows().customers.ids)) if each != "ben"]


# By a rule


def test_a_rule_finds_the_highest_scores_first(audiences: Audiences) -> None:
    answer = find(audiences, rule=EVERYBODY, size=3)
    assert ids(answer) == by_score()[:3]
    assert {each["similarity"] for each in answer["customers"]} == {1.0}
    assert (answer["size"], answer["fitting"]) == (3, 5)
    assert "shortfall" not in answer


def test_fewer_than_asked_for_say_why(audiences: Audiences) -> None:
    answer = find(audiences, rule=EVERYBODY)
    assert answer["size"] == 5
    assert answer["shortfall"]["code"] == "nobody_else"
    nobody = find(audiences, rule="customer_score > 1000")
    assert nobody["customers"] == []
    assert nobody["profile"] == {"scores": [], "shares": [], "categories": []}
    assert not nobody["personalized"]


def test_a_rule_says_how_many_of_the_best_it_takes_in(audiences: Audiences) -> None:
    lowest = by_score()[-2:]
    limit = 10 * (1 + max(list(Rows().customers.ids).index(each) for each in lowest)) + 1
    answer = find(audiences, rule=f"customer_score < {limit}", size=4)
    best = by_score()[:4]
    assert answer["overlap"]["group"] == "best_customers"
    assert answer["overlap"]["of"] == 4
    assert answer["overlap"]["customers"] == len(set(ids(answer)) & set(best))


def test_categories_are_asked_by_name(audiences: Audiences) -> None:
    assert "emil" in ids(find(audiences, rule="categories['Wine'] > 0"))
    assert "anna" not in ids(find(audiences, rule="categories['Wine'] > 0"))


def test_the_next_purchase_is_a_moment(audiences: Audiences) -> None:
    soon = (AS_OF + timedelta(days=3)).isoformat()
    later = find(audiences, rule=f"not next_purchase_at <= '{soon}'")
    assert set(ids(find(audiences, rule=f"next_purchase_at <= '{soon}'"))) | set(ids(later)) == set(by_score())
    assert ids(later)


# Who may be in it


def test_a_consent_that_was_withdrawn_since_counts(audiences: Audiences) -> None:
    answer = find(audiences, Live("anna", consent={"personalize": False}), rule=EVERYBODY)
    assert "anna" not in ids(answer)
    assert "ben" not in ids(answer)
    # He has refused when the bundle was made; only the next one can have him among those who fit.
    assert "ben" not in ids(find(audiences, Live("ben", consent={"personalize": True}), rule=EVERYBODY))


def test_the_place_of_one_who_dropped_out_is_taken(audiences: Audiences) -> None:
    first, second, third = by_score()[:3]
    answer = find(audiences, Live(first, consent={"personalize": False}), rule=EVERYBODY, size=2)
    assert ids(answer) == [second, third]


def test_one_who_was_forgotten_is_not_in_it(audiences: Audiences) -> None:
    later = int((AS_OF + timedelta(days=1)).timestamp() * 1e6)
    assert "anna" not in ids(find(audiences, Live("anna", is_erased=True, erased_us=later), rule=EVERYBODY))


def test_a_person_with_two_ids_is_in_it_once(audiences: Audiences) -> None:
    answer = find(audiences, Live("anna", also=("emil",)), rule=EVERYBODY)
    assert ids(answer).count("anna") == 1
    assert "emil" not in ids(answer)


def test_nobody_who_is_held_out_is_in_it(tiny_bundle: Bundle) -> None:
    lift = LiftPolicy(28, 56, 50, 5, 0.001, 100, 0.0)
    held = Experiments(Holdout(1.0, "salt"), lift)
    assert ids(find(Audiences(ExperimentEngine(tiny_bundle, held)), rule=EVERYBODY)) == []
    nobody_held = Experiments(Holdout(0.0, "salt"), lift)
    assert ids(find(Audiences(ExperimentEngine(tiny_bundle, nobody_held)), rule=EVERYBODY)) == by_score()


def test_what_the_policy_assumes_decides_for_those_who_said_nothing(build: Build) -> None:
    assert ids(find(build(tiny_contents({"consent.personalize": False})), rule=EVERYBODY)) == ["anna"]


# By seeds


def likes(contents: BundleContents) -> BundleContents:
    """Return the shop where anna, cleo and emil buy wine, almost surely, and the others do not; else all are alike."""
    rows = Rows()
    alike: dict[str, Any] = {
        name: np.full(len(CUSTOMERS), 0.5, dtype="<f4") for name in ("churn", "next_days", "value", "score")
    }
    wine = rows.categories["Wine"]
    lovers = [each in ("anna", "cleo", "emil") for each in rows.customers.ids]
    offsets = np.zeros(len(CUSTOMERS) + 1, dtype=np.int64)
    np.cumsum(lovers, out=offsets[1:])
    propensity = fmt.Propensities.of(offsets, np.full(3, wine, dtype="<i4"), [0.9, 0.8, 0.85])
    customers = replace(contents.customers, **alike, private_label=alike["churn"])
    return replace(contents, customers=customers, propensity=propensity)


def test_the_like_of_the_seeds_come_first_and_the_seeds_are_left_out(build: Build) -> None:
    answer = find(build(likes(tiny_contents())), seed_customer_ids=["anna", "emil", "nobody"], size=1)
    assert ids(answer) == ["cleo"]
    assert 0.0 < answer["customers"][0]["similarity"] <= 1.0
    assert answer["overlap"] == {"group": "seeds", "of": 2, "customers": 2, "share": 1.0}
    best = answer["profile"]["categories"][0]
    assert best["category"] == "Wine"
    assert best["lift"] > 1.0


def test_similarity_falls_along_the_answer(build: Build) -> None:
    answer = find(build(likes(tiny_contents())), seed_customer_ids=["anna"])
    similarity = [each["similarity"] for each in answer["customers"]]
    assert similarity == sorted(similarity, reverse=True)
    assert min(similarity) > 0.0
    assert "anna" not in ids(answer)


def test_seeds_that_may_not_be_used_find_nobody(audiences: Audiences) -> None:
    refused = Live("anna", consent={"personalize": False})
    answer = find(audiences, refused, seed_customer_ids=["anna", "ben", "nobody"])
    assert answer["customers"] == []
    assert answer["shortfall"]["code"] == "no_seeds"
    assert answer["overlap"] == {"group": "seeds", "of": 0, "customers": 0, "share": 0.0}


def test_a_merged_seed_speaks_for_the_person(build: Build) -> None:
    audiences = build(likes(tiny_contents()))
    by_old_id = find(audiences, Live("anna", also=("card-9",)), seed_customer_ids=["card-9"])
    assert by_old_id["customers"] == find(audiences, seed_customer_ids=["anna"])["customers"]


# What sets them apart


def test_the_profile_tells_the_audience_from_everyone(audiences: Audiences) -> None:
    answer = find(audiences, rule=EVERYBODY, size=1)
    scores = {each["score"]: each for each in answer["profile"]["scores"]}
    row = list(Rows().customers.ids).index(by_score()[0])
    number = np.linspace(0.1, 0.6, len(CUSTOMERS))
    assert scores["customer_score"]["mean"] == pytest.approx(number[row] * 100, abs=1e-4)
    ben = list(Rows().customers.ids).index("ben")
    assert scores["customer_score"]["everyone"] == pytest.approx(np.delete(number, ben).mean() * 100, abs=1e-4)
    shares = [each for each in answer["profile"]["shares"] if each["score"] == "segment"]
    assert shares == [{"score": "segment", "value": "Regulars", "share": 1.0, "everyone": 1.0}]


def test_the_same_question_has_the_same_answer(audiences: Audiences, tiny_bundle: Bundle) -> None:
    first = find(audiences, seed_customer_ids=["anna", "cleo"])
    assert find(audiences, seed_customer_ids=["cleo", "anna"]) == first
    assert find(Audiences(Engine(tiny_bundle)), seed_customer_ids=["anna", "cleo"]) == first


@pytest.mark.parametrize("fields", [{}, {"rule": EVERYBODY, "seed_customer_ids": ["anna"]}])
def test_exactly_one_way_to_choose_is_wanted(audiences: Audiences, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="give either a rule or seed_customer_ids"):
        find(audiences, **fields)


def test_a_moment_before_the_bundle_is_refused(audiences: Audiences) -> None:
    with pytest.raises(InvalidRequest, match="as-of"):
        audiences.find(AudiencesRequest(rule=EVERYBODY), AS_OF - timedelta(days=1), "", lambda _: {})
