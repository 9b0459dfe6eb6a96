"""From a source to a bundle: read this file top to bottom to see what `tercet train` does.

checked tables → features as of many moments → models judged on later weeks → models fitted on all weeks → a bundle,
with every step's evidence in MLflow and beside the bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from features.prune import prune
from serving.bundle import write_bundle
from serving.home_lock import working_in
from serving.state.opening import FILE
from training.ahead import reads_of_bundle, reads_of_judging
from training.assembly import Assembly, numbers_of
from training.challenge_judging import ChallengeJudgement, judge_challenge
from training.config import load_config
from training.errors import GateError
from training.gate import judgement_record, keep_judgement, promote
from training.history import History
from training.home import Home
from training.judge import Judgement
from training.judging import Judged, judge_all
from training.learners import Fitted, Learner, learners, own_settings, settings_record
from training.opening import OpenShop, open_shop
from training.recipe import Recipe
from training.recording import RunContext, record_models
from training.report import write_report
from training.state_care import carry_out_erasures, tend_state
from training.tracking import Tracker

Say = Callable[[str], None]


def train(
    source: str,
    home: Path,
    as_of: date | datetime | None,
    engine: str,
    quick: bool,
    progress: Say,
    *,
    state: str = FILE,
) -> str:
    """Return the version of the bundle that was trained, judged and published from a source and the shop's state.

    The first bundle of a home that passes the gate becomes its champion; later ones wait for `tercet promote`. Whoever
    asked to be forgotten is erased first. `state` is where the state is, as TERCET_STATE has it.

    Raises
    ------
    TercetError
        When the source breaks the contract, holds nothing to learn from, or the policy has mistakes.
    """
    carry_out_erasures(home, state, progress)
    with working_in(home):
        shop = open_shop(source, home, as_of, engine, progress, state=state)
        version = _train(shop, home, quick, progress)
        prune(Home(home).features, shop.tables.digest)
        tend_state(home, state, shop.tables, as_of_us=shop.as_of.us)
    return version


def _train(shop: OpenShop, home: Path, quick: bool, progress: Say) -> str:
    """Return the version of the bundle of an open shop."""
    history = History(shop.store, shop.as_of)
    place, recipe = Home(home), load_config(Recipe, "recipe", is_quick=quick)
    texts = place.checked_texts()  # before hours of training, not after

    chosen = learners(is_quick=quick, home=home)
    if own := own_settings(chosen):
        progress(own)
    reads = chain(reads_of_judging(chosen, history, recipe), reads_of_bundle(chosen, history, recipe))
    with history.store.ahead(reads):
        evidence = judge(chosen, history, recipe, place.policy_text(), progress)
        models = fit_all(evidence.learners, history, progress) if recipe.refits else evidence.latest(history, progress)

        progress("bundle: write")
        numbers = numbers_of(models, history, evidence.challenge.completion)
        contents = Assembly(models, place.policy_text()).contents(
            history,
            shop.as_of,
            numbers,
            metrics=evidence.metrics,
            recipe=_recipe_record(recipe, evidence.learners, quick),
            log_until_us=shop.log_until_us,
        )
    version = write_bundle(replace(contents, texts=texts), place.bundles)

    progress("report: tables and pictures")
    report = write_report(place.report(version), evidence.judged, evidence.challenge, version)
    progress("MLflow: log and register the models")
    about = RunContext(
        version, shop.as_of, shop.tables.digest, shop.tables.source_name, "quick" if quick else "full", report.folder
    )
    registered = record_models(Tracker.under(home), evidence.judged, models, about, evidence.challenge)
    keep_judgement(place, version, judgement_record(evidence.judgements, registered))
    _promote_first(place, version, progress)
    return version


@dataclass(frozen=True)
class Evidence:
    """What the models and their challenges showed on weeks that they had not learned from."""

    judged: Mapping[str, Judged]
    challenge: ChallengeJudgement

    @property
    def learners(self) -> tuple[Learner, ...]:
        """Return the models' learners, in order."""
        return tuple(each.learner for each in self.judged.values())

    @property
    def judgements(self) -> list[Judgement]:
        """Return all judgements, the challenge's last."""
        return [*(each.judgement for each in self.judged.values()), self.challenge.judgement]

    def latest(self, history: History, say: Say) -> dict[str, Fitted]:
        """Return the models judged at the latest cutoff; one that was not judged is fitted on all that is known."""
        judged = {name: each.fits[max(each.fits)] for name, each in self.judged.items() if each.fits}
        missing = tuple(each.learner for name, each in self.judged.items() if name not in judged)
        return {**judged, **fit_all(missing, history, say)}

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Return every judgement's numbers, by model: what the manifest carries."""
        return {judgement.model: judgement.flat() for judgement in self.judgements}


def judge(chosen: Sequence[Learner], history: History, recipe: Recipe, policy_text: str, say: Say) -> Evidence:
    """Return the evidence on the recipe's cutoffs: each model by itself, and the challenges that they make together."""
    judged = judge_all(chosen, history, recipe, say)
    say("judge challenge: the engine's own challenges of later weeks")
    return Evidence(judged, judge_challenge(judged, history, recipe, policy_text))


def fit_all(chosen: tuple[Learner, ...], history: History, say: Say) -> dict[str, Fitted]:
    """Return every model fitted on all that the history knows, by name."""
    models: dict[str, Fitted] = {}
    for learner in chosen:
        say(f"fit {learner.name}")
        models[learner.name] = learner.fit(history)
    return models


def _recipe_record(recipe: Recipe, chosen: tuple[Learner, ...], is_quick: bool) -> dict[str, Any]:  # Any: config values
    """Return what ran, for the manifest."""
    configs = {learner.name: learner.parameters for learner in chosen}
    return {"pipeline": asdict(recipe), "quick": is_quick, "models": configs, "settings": settings_record(chosen)}


def _promote_first(home: Home, version: str, say: Say) -> None:
    """Make the first bundle of a home the champion, if it passes; say what happened, and what to do when it doesn't."""
    if home.champion() is not None:
        say(f"bundle {version} waits for `tercet promote`; {home.champion()} serves on")
        return
    try:
        say(promote(home.folder, version).text.replace("\n", "; "))
    except GateError as error:
        say(str(error))
