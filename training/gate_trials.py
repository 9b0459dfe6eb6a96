"""Champion against challenger, model by model: both judged on the same cutoffs, and the winner named.

The challenger is today's config, the champion the config in the serving bundle's manifest. Both are fitted by today's
code, for old code can't be run again; but where results of the champion's own code are kept of the same data, these
are its numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from serving.decisioning.policy_gate import GatePolicy
from training.errors import ConfigError
from training.gate_rules import Decision, Outcome, decide, is_comparable
from training.incumbents import Incumbents, learner_of
from training.judging import Bench, Judged
from training.learners import Learner
from training.results import ModelRecipe, ModelResults

KEPT_CODE = "its numbers are those kept of the code that it was made by"
OTHER_CODE = "it was made by other code, of which nothing is kept on this data: its config ran with today's"


@dataclass(frozen=True)
class Trial:
    """What became of one model: the decision, what ships, and what lost (without its fits), where two were compared."""

    decision: Decision
    shipped: Judged
    beaten: Judged | None = None


@dataclass(frozen=True)
class Trials:
    """The gate's trials on one bench: `bounds` are the policy's, `incumbents` the champion's recipes."""

    bench: Bench
    bounds: GatePolicy
    incumbents: Incumbents

    def run(self, challengers: Sequence[Learner]) -> dict[str, Trial]:
        """Return what became of every model, by name."""
        return {learner.name: self.trial(learner) for learner in challengers}

    def unjudged(self, challengers: Sequence[Learner]) -> Iterator[Learner]:
        """Yield what will have to be fitted and judged, as far as can be told before."""
        for learner in challengers:
            rival = self._rival(learner)
            yield from (each for each in (learner, rival) if each is not None and not self.bench.is_kept(each))

    def trial(self, learner: Learner) -> Trial:
        """Return what became of one model."""
        challenger, recipe = self.bench.judged(learner), self.incumbents.recipes.get(learner.name)
        if recipe is None:
            return self._alone(challenger, self.incumbents.problem)
        try:
            rival = learner_of(recipe)
        except ConfigError as error:
            return self._alone(challenger, f"the champion's recipe can't be read by this code: {error}")
        if rival.config == learner.config:
            return self._against_own_config(challenger, recipe)
        return self._against(challenger, rival, recipe)

    def _alone(self, challenger: Judged, why: str) -> Trial:
        return Trial(replace(decide(challenger.judgement, None, self.bounds), why=why), challenger)

    def _against_own_config(self, challenger: Judged, recipe: ModelRecipe) -> Trial:
        """Return the trial of a config that serves already: of today's code against kept numbers of the old one."""
        same = decide(challenger.judgement, None, self.bounds, is_same=True)
        if recipe.code == challenger.recipe.code:
            return Trial(same, challenger)
        kept = self._kept(challenger, recipe)
        if kept is None:
            return Trial(replace(same, champion_from=OTHER_CODE), challenger)
        decision = decide(challenger.judgement, kept.judgement, self.bounds)
        if decision.outcome is Outcome.STAYS:  # but its code is gone: what ships is made by today's, and must wait
            decision = replace(decision, outcome=Outcome.WORSE)
        return Trial(replace(decision, champion_from=KEPT_CODE), challenger)

    def _against(self, challenger: Judged, rival: Learner, recipe: ModelRecipe) -> Trial:
        fallback = self.bench.fitted_later(rival)
        kept = self._kept(challenger, recipe) if recipe.code != fallback.recipe.code else None
        if kept is None:
            champion = self.bench.judged(rival)
            decision = decide(challenger.judgement, champion.judgement, self.bounds)
            how = "" if recipe.code == champion.recipe.code else OTHER_CODE
        else:
            champion = replace(fallback, judgement=kept.judgement, pictures=kept.pictures, results=kept.key.digest)
            decision, how = decide(challenger.judgement, kept.judgement, self.bounds), KEPT_CODE
        decision = replace(decision, champion_from=how)
        if decision.outcome is Outcome.STAYS:
            return Trial(decision, champion, replace(challenger, fits={}))
        return Trial(decision, challenger, replace(champion, fits={}))

    def _kept(self, challenger: Judged, recipe: ModelRecipe) -> ModelResults | None:
        """Return what is kept of a recipe's own code on this data, where it can be compared."""
        if self.bench.kept is None or not recipe.code:
            return None
        found = self.bench.kept.load(self.bench.key(challenger.learner, recipe))
        return found if found is not None and is_comparable(challenger.judgement, found.judgement) else None

    def _rival(self, learner: Learner) -> Learner | None:
        """Return the champion's model where it will be compared, by today's code."""
        recipe = self.incumbents.recipes.get(learner.name)
        try:
            rival = None if recipe is None else learner_of(recipe)
        except ConfigError:
            return None
        return None if rival is None or rival.config == learner.config else rival


def decisions_of(trials: Mapping[str, Trial]) -> list[Decision]:
    """Return the decisions, in the models' order."""
    return [each.decision for each in trials.values()]
