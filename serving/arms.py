"""The engine of a shop that experiments: each customer is decided for by the arm that they are in."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, SubstitutesRequest
from serving.api_actions import ActionAnswer, ActionsRequest
from serving.api_answers import AlsoBoughtAnswer, ChallengeAnswer, RecommendationsAnswer, SubstitutesAnswer
from serving.api_answers import Experiment as Label
from serving.api_offer_codes import Trigger
from serving.api_offers import OffersAnswer, OffersRequest
from serving.bundle import Bundle, obeying
from serving.decisioning.policy import parse_policy, with_values
from serving.engine import Engine
from serving.errors import PolicyError
from serving.experiments import HOLDOUT, Arm, Experiment, Experiments
from serving.state.known import NOTHING_KNOWN, Known, Live

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Plan:
    """What is in force: the experiments, and the engines of the arms that have a policy of their own."""

    experiments: Experiments
    engines: Mapping[tuple[str, str], Engine]
    paused: frozenset[str]


class _Drawn(NamedTuple):
    """How one customer is decided for; `engine` None is the champion's own policy."""

    engine: Engine | None
    label: Label | None
    known: Known


class ExperimentEngine(Engine):
    """Decides from one open bundle, by the policy of each customer's arm; whoever is held out gets the common answer.

    Every call that decides for a customer has its like here; scores are numbers for the shop, the same in every arm.

    Only customers whose history may be used are in an arm: for the others there is nothing to compare, and nothing may
    link to them. An arm's engine reads the same arrays: it takes some 10 ms to make, and less than a megabyte.
    """

    def __init__(self, bundle: Bundle, experiments: Experiments) -> None:
        super().__init__(bundle)
        self._plan = self._prepared(experiments)

    def obey(self, experiments: Experiments) -> None:
        """Go by other experiments from the next call on; made whole before it is put in force."""
        self._plan = self._prepared(experiments)

    def odds(self, label: Label | None) -> float:
        """Return the probability with which the arm of an answer is drawn; 1 where there is none."""
        experiments = self._plan.experiments
        if label is None:
            return 1.0
        if label["name"] == HOLDOUT:
            return experiments.holdout.share
        experiment = experiments.named(label["name"])
        arms = () if experiment is None else experiment.arms
        return next((arm.share for arm in arms if arm.name == label["arm"]), 1.0)

    def challenge(
        self, request: ChallengeRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> ChallengeAnswer:
        """Return the challenge that the customer's arm makes."""
        drawn = self._drawn(request.customer_id, at, known)
        ask = super().challenge if drawn.engine is None else drawn.engine.challenge
        answer = ask(request, at, decision_id, drawn.known)
        answer["experiment"] = drawn.label
        return answer

    def replacement(
        self, kept: ChallengeAnswer, request: ChallengeRequest, at: datetime, known: Known = NOTHING_KNOWN
    ) -> ChallengeAnswer | None:
        """Return what takes the place of items out of stock, by the arm that the challenge was made in."""
        drawn = self._of(kept["experiment"], known)
        ask = super().replacement if drawn.engine is None else drawn.engine.replacement
        return ask(kept, request, at, drawn.known)

    def recommendations(
        self, request: RecommendationsRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> RecommendationsAnswer:
        """Return the ranking that the customer's arm makes."""
        drawn = self._drawn(request.customer_id, at, known)
        ask = super().recommendations if drawn.engine is None else drawn.engine.recommendations
        answer = ask(request, at, decision_id, drawn.known)
        answer["experiment"] = drawn.label
        return answer

    def also_bought(
        self, request: AlsoBoughtRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> AlsoBoughtAnswer:
        """Return what the customer's arm shows; a call for nobody in particular is in no arm."""
        drawn = self._drawn(request.customer_id, at, known)
        ask = super().also_bought if drawn.engine is None else drawn.engine.also_bought
        answer = ask(request, at, decision_id, drawn.known)
        answer["experiment"] = drawn.label
        return answer

    def substitutes(
        self, request: SubstitutesRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> SubstitutesAnswer:
        """Return what meets the same need, in the order that the customer's arm gives it."""
        drawn = self._drawn(request.customer_id, at, known)
        ask = super().substitutes if drawn.engine is None else drawn.engine.substitutes
        answer = ask(request, at, decision_id, drawn.known)
        answer["experiment"] = drawn.label
        return answer

    def offers(
        self, request: OffersRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> OffersAnswer:
        """Return the offers that the customer's arm makes; none to one who is held out."""
        drawn = self._drawn(request.customer_id, at, known)
        if drawn.label is not None and drawn.label["name"] == HOLDOUT:
            answer = self._offers.offers(request, at, decision_id, drawn.known, is_held_out=True)
        else:
            ask = super().offers if drawn.engine is None else drawn.engine.offers
            answer = ask(request, at, decision_id, drawn.known)
        answer["experiment"] = drawn.label
        return answer

    def action(
        self, request: ActionsRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> ActionAnswer:
        """Return the action that the customer's arm chooses; none for one who is held out."""
        drawn = self._drawn(request.customer_id, at, known)
        if drawn.label is not None and drawn.label["name"] == HOLDOUT:
            answer = self._actions.held_out(request, at, decision_id)
        else:
            ask = super().action if drawn.engine is None else drawn.engine.action
            answer = ask(request, at, decision_id, drawn.known)
        answer["experiment"] = drawn.label
        return answer

    def true_triggers(self, customer_id: str, at: datetime, known: Known = NOTHING_KNOWN) -> tuple[Trigger, ...]:
        """Return the triggers that are true by the policy of the customer's arm; none for one who is held out."""
        drawn = self._drawn(customer_id, at, known)
        ask = super().true_triggers if drawn.engine is None else drawn.engine.true_triggers
        return ask(customer_id, at, drawn.known)

    def is_quiet(self, request: OffersRequest, at: datetime, known: Known = NOTHING_KNOWN) -> bool:
        """Return whether it is quiet time by the policy of the customer's arm."""
        drawn = self._drawn(request.customer_id, at, known)
        ask = super().is_quiet if drawn.engine is None else drawn.engine.is_quiet
        return ask(request, at, drawn.known)

    def basis(self, customer_id: str, at: datetime, known: Known = NOTHING_KNOWN) -> str:
        """Return the bundle, the customer's arm and what that changes of the policy, as text."""
        label = self._drawn(customer_id, at, known).label
        return json.dumps([super().basis(customer_id, at, known), label, self._overrides(label)], sort_keys=True)

    def _overrides(self, label: Label | None) -> Mapping[str, object]:
        experiment = None if label is None else self._plan.experiments.named(label["name"])
        arms = () if experiment is None or label is None else experiment.arms
        return next((arm.policy for arm in arms if label is not None and arm.name == label["arm"]), {})

    def target_row(self, customer_id: str, at: datetime, live: Live) -> int:
        """Return the row of a customer who may be chosen by their scores; -1 also for one who is held out."""
        label = self._drawn(customer_id, at, Known(live)).label
        is_held_out = label is not None and label["name"] == HOLDOUT
        return -1 if is_held_out else super().target_row(customer_id, at, live)

    def _drawn(self, customer_id: str | None, at: datetime, known: Known) -> _Drawn:
        if customer_id is None or known.live.is_gone or not self.may_personalize(customer_id, known.live):
            return _Drawn(None, None, known)
        assigned = self._plan.experiments.assign(known.live.customer_id or customer_id, at)
        return self._of(None if assigned is None else assigned.label(), known)

    def _of(self, label: Label | None, known: Known) -> _Drawn:
        """Return how somebody with a label is decided for; one of an experiment that is gone counts as the control."""
        plan = self._plan
        if label is None or label["name"] in plan.paused:
            return _Drawn(None, None, known)
        if label["name"] == HOLDOUT:
            return _Drawn(None, label, as_without_consent(known))
        return _Drawn(plan.engines.get((label["name"], label["arm"])), label, known)

    def _prepared(self, experiments: Experiments) -> _Plan:
        engines: dict[tuple[str, str], Engine] = {}
        paused = set()
        for experiment in experiments.experiments:
            try:
                engines |= self._engines_of(experiment)
            except PolicyError as error:
                paused.add(experiment.name)
                version = self.bundle.manifest.version
                logger.error("experiment %s pauses, as bundle %s can't follow it: %s", experiment.name, version, error)
        return _Plan(experiments, engines, frozenset(paused))

    def _engines_of(self, experiment: Experiment) -> dict[tuple[str, str], Engine]:
        return {(experiment.name, arm.name): Engine(self._with(arm)) for arm in experiment.arms if arm.policy}

    def _with(self, arm: Arm) -> Bundle:
        """Return the bundle, its arrays shared, with the arm's policy."""
        text = (self.bundle.folder / "policy.toml").read_text("utf-8")
        return obeying(self.bundle, parse_policy(with_values(text, arm.policy)))


def as_without_consent(known: Known) -> Known:
    """Return what is known of somebody as if they had refused to have their history used."""
    live = known.live
    return replace(known, live=replace(live, consent={**(live.consent or {}), "personalize": False}))
