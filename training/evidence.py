"""What a training found out before anything ships: each model by itself, and the challenges that they make together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from training.assembly import FOR_CHALLENGE
from training.challenge_judging import MODEL, judge_challenge
from training.code_digest import code_digest
from training.judge import Judgement
from training.judging import Bench, Judged, drawn, judging
from training.learners import Fitted, Learner
from training.results import ModelRecipe, ModelResults, ResultsKey

OF_CHALLENGE = (*FOR_CHALLENGE, "discover")
"""The models whose fits make the challenges that are judged."""


@dataclass(frozen=True)
class Evidence:
    """What the models that ship, and their challenges, showed on weeks that they had not learned from.

    `challenge.numbers` are the coefficients of the joint chance that ship.
    """

    judged: Mapping[str, Judged]
    challenge: ModelResults

    @property
    def learners(self) -> tuple[Learner, ...]:
        """Return the models' learners, in order."""
        return tuple(each.learner for each in self.judged.values())

    @property
    def judgements(self) -> list[Judgement]:
        """Return all judgements, the challenge's last."""
        return [*(each.judgement for each in self.judged.values()), self.challenge.judgement]

    def latest(self) -> dict[str, Fitted]:
        """Return the models as of the latest cutoff that they were judged on; none for one that was not judged."""
        return {name: each.fits[max(each.fits)] for name, each in self.judged.items() if each.fits}

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Return every judgement's numbers, by model: what the manifest carries."""
        return {judgement.model: judgement.flat() for judgement in self.judgements}


def gather_evidence(judged: Mapping[str, Judged], bench: Bench, policy_text: str) -> Evidence:
    """Return the evidence on models, with their challenges replayed by the engine, or as they are kept."""
    key = _challenge_key(judged, bench, policy_text)
    found = None if bench.kept is None else bench.kept.load(key)
    if found is None:
        bench.say("judge challenge: the engine's own challenges of later weeks")
        with bench.meter.stage(judging(MODEL)):
            seen = judge_challenge(judged, bench.history, bench.recipe, policy_text)
        found = ModelResults(key, seen.judgement, drawn(seen.figures), dict(seen.completion))
        if bench.kept is not None and key.cutoffs:
            bench.kept.keep(found)
    return Evidence(judged, found)


def _challenge_key(judged: Mapping[str, Judged], bench: Bench, policy_text: str) -> ResultsKey:
    """Return what the challenges are known by: the recipes of their models, the policy, and the code that replays."""
    recipes = {name: [judged[name].recipe.config, judged[name].recipe.code] for name in OF_CHALLENGE}
    config = {"models": recipes, "policy": policy_text, "n_weeks": bench.recipe.n_challenge_weeks}
    code = code_digest((judge_challenge.__module__,), without=("training.judging", "training.learners"))
    return bench.key(judged[OF_CHALLENGE[0]].learner, ModelRecipe(MODEL, config, code))
