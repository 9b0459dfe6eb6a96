"""Bundles of past moments, made once: models fitted on what was known, published, kept on disk, opened and asked."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from features.asof import Moment
from serving.bundle import open_bundle, write_bundle
from serving.errors import BundleError
from serving.numbers import Numbers
from training.ahead import Read, reads_of_bundle
from training.assembly import Assembly, numbers_of
from training.backtest.files import read_sealed, write_sealed
from training.backtest.served import ServedBundle
from training.challenge_judging import in_a_language_that_ships
from training.code_digest import code_digest
from training.comparison import iso_days
from training.config import load_config
from training.costs import Meter
from training.errors import BacktestError
from training.history import History
from training.judging import Bench
from training.learners import Learner
from training.recipe import Recipe
from training.side_by_side import fitted_side_by_side

_ABOUT = "about.json"
_DIGITS = 16


@dataclass
class PastBundles:
    """Makes the bundles of one source's past, and keeps them under `folder`.

    Attributes
    ----------
    learners
        Every model that may be fitted, by name.
    sample
        At most how many customers are asked; None is all.
    """

    history: History
    learners: Mapping[str, Learner]
    policy_text: str
    folder: Path
    say: Callable[[str], None]
    meter: Meter = field(default_factory=Meter)
    sample: int | None = None

    def served(self, moment: Moment, needs: Collection[str]) -> ServedBundle:
        """Return what answers at `moment`, from the models of `needs` at least.

        A bundle that is kept is opened again, when all that it was made from is as it was; it may hold more models.
        """
        wanted = self._wanted(needs)
        fits = Fits(self, moment)
        folder = self._kept(moment, wanted) or self._make(moment, wanted, fits)
        bundle = open_bundle(folder / self._about(folder)["version"], verify=False)
        return ServedBundle(self.history, moment, bundle, folder / "lists", lambda: fits, self.sample)

    def digest(self, moment: Moment, needs: Collection[str]) -> str:
        """Return the digest of all that the answers of these models at a moment come from."""
        return digest_of(self._base(moment), self._wanted(needs))

    def reads(self, moment: Moment, needs: Collection[str]) -> Iterator[Read]:
        """Yield the feature groups that making a bundle reads."""
        chosen = [learner for name, learner in self.learners.items() if name in needs]
        return reads_of_bundle(chosen, self.history.until(moment), Recipe(refits=True))

    def prune(self, needs: Mapping[Moment, Collection[str]]) -> None:
        """Remove all bundles but those that would serve these models at these moments."""
        serving = {self._kept(moment, self._wanted(names)) for moment, names in needs.items()}
        for folder in self.folder.glob("*"):
            if folder not in serving:
                shutil.rmtree(folder, ignore_errors=True)

    def fit(self, name: str, moment: Moment) -> Any:  # Any: each model's own fitted class
        """Return a model that has learned what was known at `moment`."""
        return self.bench(moment).fitted(self.learners[name])

    def bench(self, moment: Moment) -> Bench:
        """Return where models learn what was known at `moment`."""
        day = iso_days([moment])[0]
        recipe = load_config(Recipe, "recipe")
        return Bench(self.history.until(moment), recipe, lambda line: self.say(f"{day}: {line}"), meter=self.meter)

    def _make(self, moment: Moment, wanted: Mapping[str, str], fits: Fits) -> Path:
        fits.make(wanted)
        models = {name: fits[name] for name in self.learners if name in wanted}
        self.say(f"{iso_days([moment])[0]}: bundle")
        with self.meter.stage("bundle"):
            known = self.history.until(moment)
            assembly = Assembly(models, in_a_language_that_ships(self.policy_text), tuple(models))
            contents = assembly.contents(known, moment, numbers_of(models, known, Numbers.plain().completion))
            folder = self.folder / digest_of(self._base(moment), wanted)
            shutil.rmtree(folder, ignore_errors=True)  # left over, or damaged: nothing in it can be told to be whole
            version = write_bundle(contents, folder)
        about = {
            "base": self._base(moment),
            "models": dict(wanted),
            "version": version,
            "cutoff": iso_days([moment])[0],
        }
        write_sealed(folder / _ABOUT, json.dumps(about).encode())
        return folder

    def _kept(self, moment: Moment, wanted: Mapping[str, str]) -> Path | None:
        """Return a folder whose bundle has these models, of this moment; the exact one first, then one with more."""
        exact = self.folder / digest_of(self._base(moment), wanted)
        others = sorted(self.folder.glob(f"*/{_ABOUT}")) if self.folder.is_dir() else []
        folders = dict.fromkeys([exact, *(each.parent for each in others)])
        return next((folder for folder in folders if self._serves(folder, moment, wanted)), None)

    def _serves(self, folder: Path, moment: Moment, wanted: Mapping[str, str]) -> bool:
        about = self._about(folder)
        is_ours = about.get("base") == self._base(moment) and wanted.items() <= about["models"].items()
        return is_ours and _is_whole(folder / about["version"])

    def _about(self, folder: Path) -> dict[str, Any]:  # Any: a JSON object
        found = read_sealed(folder / _ABOUT)
        return {} if found is None else dict(json.loads(found))

    def _base(self, moment: Moment) -> str:
        """Return the digest of all that a bundle is made from besides its models."""
        return digest_of(self.history.tables.digest, moment.us, self.policy_text, self._code)

    def _wanted(self, needs: Collection[str]) -> dict[str, str]:
        """Return the digest of each model by name; BacktestError for a name that no model has."""
        if unknown := sorted(set(needs) - set(self.learners)):
            raise BacktestError(f"no model is named {', '.join(unknown)}: there are {', '.join(self.learners)}")
        return {name: self._model_digest(name) for name in sorted(needs)}

    def _model_digest(self, name: str) -> str:
        learner = self.learners[name]
        return digest_of(asdict(learner.config), code_digest([module_of(learner)]))

    @cached_property
    def _code(self) -> str:
        """Return the digest of what publishes models and answers; models have their own."""
        return code_digest([Assembly.__module__, ServedBundle.__module__], without=_MODELS_HAVE_THEIR_OWN)


_MODELS_HAVE_THEIR_OWN = (Learner.__module__,)


class Fits(dict[str, Any]):  # Any: each model's own fitted class
    """The models of one moment by name, each fitted when it is first asked for."""

    def __init__(self, bundles: PastBundles, moment: Moment) -> None:
        super().__init__()
        self._bundles = bundles
        self._moment = moment

    def make(self, names: Collection[str]) -> None:
        """Fit those of these models that aren't yet, side by side where that pays (training/side_by_side.py)."""
        missing = [learner for name, learner in self._bundles.learners.items() if name in names and name not in self]
        self.update(fitted_side_by_side(self._bundles.bench(self._moment), missing))

    def __missing__(self, name: str) -> Any:  # Any: as in the class
        """Fit the model."""
        self[name] = self._bundles.fit(name, self._moment)
        return self[name]


def module_of(learner: Learner) -> str:
    """Return the module in which a learner's model is written."""
    return str(getattr(learner.fit, "__self__", learner.fit).__class__.__module__)


def digest_of(*parts: object) -> str:
    """Return a short digest of plain values; the same for the same values on every machine."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _is_whole(bundle: Path) -> bool:
    try:
        open_bundle(bundle)
    except BundleError:
        return False
    return True
