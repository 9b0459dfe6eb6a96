"""Judging models on later weeks than they learned from: anew, or from what the same recipe showed on the same data."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from features.asof import Moment
from training.code_digest import code_digest
from training.comparison import iso_days
from training.costs import Meter
from training.history import History
from training.judge import Judgement
from training.learners import Fitted, Learner
from training.recipe import Recipe
from training.results import KeptResults, ModelRecipe, ModelResults, ResultsKey

Say = Callable[[str], None]


class Fits(Mapping[Moment, Fitted]):
    """A model's fits by the cutoff that each has learned up to; each is made when it is first asked for."""

    def __init__(self, learner: Learner, bench: Bench) -> None:
        self._learner, self._bench = learner, bench
        self._made: dict[Moment, Fitted | None] = dict.fromkeys(bench.cutoffs(learner))

    def __getitem__(self, cutoff: Moment) -> Fitted:
        """Return the fit at a cutoff."""
        made = self._made[cutoff]
        if made is None:
            name = self._learner.name
            self._bench.say(f"judge {name}: learn up to {iso_days([cutoff])[0]}")
            with self._bench.meter.stage(fitting(name)):
                made = self._learner.fit(self._bench.history.until(cutoff))
            self._made[cutoff] = made
        return made

    def __iter__(self) -> Iterator[Moment]:
        """Iterate over the cutoffs."""
        return iter(self._made)

    def __len__(self) -> int:
        """Return the number of cutoffs."""
        return len(self._made)


class Asked:
    """A fitted model that remembers what it predicted: its judgement and its pictures ask for the same."""

    def __init__(self, model: Fitted) -> None:
        self._model = model
        self._said: dict[tuple[int, int], pd.DataFrame] = {}

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return what the model predicts; whoever changes the frame changes a copy of their own."""
        asked = (history.known_until.us, moment.us)
        if asked not in self._said:
            self._said[asked] = self._model.predict(history, moment)
        return self._said[asked].copy(deep=False)

    def __getattr__(self, name: str) -> Any:  # Any: whatever the model has
        """Return anything else of the model."""
        return getattr(self._model, name)


@dataclass(frozen=True)
class Judged:
    """One model's recipe, its fits by cutoff, its judgement, and its pictures as PNG files by name."""

    learner: Learner
    recipe: ModelRecipe
    fits: Mapping[Moment, Fitted]
    judgement: Judgement
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    results: str = ""
    """The digest by which the results are kept; empty where they are not."""


@dataclass(frozen=True)
class Bench:
    """Where models are judged: on the recipe's cutoffs of one history, whose end is the embargo of the judge.

    With `kept`, what a recipe showed before on the same data and cutoffs is read instead of found out again.
    """

    history: History
    recipe: Recipe
    say: Say
    kept: KeptResults | None = None
    meter: Meter = field(default_factory=Meter)
    made: Mapping[str, Judged] = field(default_factory=dict)
    """What was judged beforehand, by the digest of its key (training/side_by_side.py)."""

    def cutoffs(self, learner: Learner) -> list[Moment]:
        """Return the cutoffs of a model; none where the history is too short."""
        step = self.recipe.judged_step_days
        return self.history.cutoff_before(learner.judged_days, self.recipe.n_judged, step_days=step)

    def key(self, learner: Learner, recipe: ModelRecipe | None = None) -> ResultsKey:
        """Return what the results of a model are known by here; `recipe` where it isn't the learner's own."""
        own = recipe or recipe_of(learner)
        days = iso_days(self.cutoffs(learner))
        return ResultsKey(own, self.history.tables.digest, self.history.known_until.us, days)

    def is_kept(self, learner: Learner) -> bool:
        """Return whether there seem to be results of a model."""
        return self.kept is not None and self.kept.path(learner.name, self.key(learner).digest).exists()

    def fitted_later(self, learner: Learner) -> Judged:
        """Return a model that is not judged here: it is fitted when somebody asks for its fits."""
        return Judged(learner, recipe_of(learner), Fits(learner, self), Judgement(learner.name, (), ()))

    def judged(self, learner: Learner) -> Judged:
        """Return a model's judgement: fitted at every cutoff on what was known there, judged on the weeks after it.

        A history too short for any cutoff gives an empty judgement that says so.
        """
        key, fits = self.key(learner), Fits(learner, self)
        if key.digest in self.made:
            return self.made[key.digest]
        found = None if self.kept is None else self.kept.load(key)
        if found is None:
            found = ModelResults(key, *self._judge(learner, fits))
            if self.kept is not None and key.cutoffs:
                self.kept.keep(found)
        else:
            self.say(f"judge {learner.name}: as kept, the same recipe on the same data")
        digest = key.digest if self.kept is not None else ""
        return Judged(learner, key.recipe, fits, found.judgement, found.pictures, digest)

    def fitted(self, learner: Learner) -> Fitted:
        """Return a model fitted on all that is known."""
        self.say(f"fit {learner.name}")
        with self.meter.stage(f"fit {learner.name}"):
            return learner.fit(self.history)

    def _judge(self, learner: Learner, fits: Fits) -> tuple[Judgement, dict[str, bytes]]:
        if not fits:
            note = f"{learner.name}: the history is too short to judge it on weeks that it has not learned from"
            return Judgement(learner.name, (), (), (), (note,)), {}
        made = {cutoff: Asked(fits[cutoff]) for cutoff in fits}
        self.say(f"judge {learner.name}: the weeks after")
        with self.meter.stage(judging(learner.name)):
            judgement = _named(learner.judge(made, self.history), learner.name)
            return judgement, drawn(learner.figures(made, self.history))


def fitting(name: str) -> str:
    """Return the stage under which a model's fits for its judgement are measured."""
    return f"fit {name} on past weeks"


def judging(name: str) -> str:
    """Return the stage under which a model's judgement is measured."""
    return f"judge {name}"


def recipe_of(learner: Learner) -> ModelRecipe:
    """Return the recipe of a model: its config, and the digest of the code that fits and judges it."""
    modules = {type(learner.config).__module__, learner.fit.__module__, learner.judge.__module__}
    return ModelRecipe(learner.name, learner.parameters, code_digest(modules))


def drawn(figures: Mapping[str, Figure]) -> dict[str, bytes]:
    """Return figures as PNG files by name."""
    return {name: _png(figure) for name, figure in figures.items()}


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _named(judgement: Judgement, name: str) -> Judgement:
    """Return the judgement under the learner's name: habit is one class at two levels."""
    rows = tuple(replace(row, model=name) for row in judgement.rows)
    return replace(judgement, model=name, rows=rows)
