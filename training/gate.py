"""Which bundle serves: the comparison that a challenger must pass, and the promotion itself.

In this version a bundle passes when no model is worse than its baseline on later weeks: its primary metrics are ahead,
or within the paired interval where the data are too few to tell. The judgement is kept beside the bundle, under
`reports/<version>/judgement.json`, and the outcome in `gate.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # JSON records that are read back

from serving.bundle import open_bundle, write_with_policy
from serving.champion import write_champion
from serving.decisioning.merchandising import unknown_names
from serving.home_lock import working_in
from serving.renamed import version_now
from training.errors import GateError
from training.home import Home, read_policy
from training.judge import Judgement, MetricRow
from training.tracking import Tracker

JUDGEMENT_FILE = "judgement.json"
GATE_FILE = "gate.json"


@dataclass(frozen=True)
class Verdict:
    """Whether a bundle passes, with a line for every primary metric that is not ahead of its baseline."""

    passes: bool
    behind: tuple[str, ...]
    undecided: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return the verdict as lines that a person can read."""
        head = (
            "passes: no model is worse than its baseline" if self.passes else "does not pass: " + "; ".join(self.behind)
        )
        return "\n".join([head, *(f"undecided, too few customers to tell: {each}" for each in self.undecided)])


def compare(judgements: Sequence[Judgement]) -> Verdict:
    """Return the verdict on models judged beside their baselines."""
    rows = [row for judgement in judgements for row in judgement.primary]
    not_ahead = [row for row in rows if not row.gain > 0]
    behind = tuple(_line(row) for row in not_ahead if row.gain_high < 0)
    undecided = tuple(_line(row) for row in not_ahead if not row.gain_high < 0)
    return Verdict(not behind, behind, undecided)


@dataclass(frozen=True)
class Promotion:
    """What a promotion did."""

    version: str
    verdict: Verdict
    forced: bool
    unknown: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return what happened, for a person; and what the policy names that the bundle does not know."""
        how = " (forced)" if self.forced else ""
        notes = [f"note, policy.toml: {each}" for each in self.unknown]
        return "\n".join([self.verdict.text, *notes, f"{self.version} is the champion{how}"])


def promote(home: Path, version: str | None = None, *, policy: Path | None = None, force: bool = False) -> Promotion:
    """Make a bundle the champion; without a version, the latest trained one, or with `policy` the champion itself.

    With `policy` the bundle is written anew with that policy and the home's texts, as a version of its own. `force`
    promotes a bundle that does not pass; `gate.json` says so. The models of the bundle get the alias `champion` in
    MLflow; where that can't be reached, a warning is logged and the promotion stands.

    Raises
    ------
    GateError
        When there is no such bundle, when nothing is known of how it was judged, or when it does not pass.
    BundleError, PolicyError
        When the bundle is damaged, or the policy has mistakes.
    """
    with working_in(home):
        return _promote(Home(home), version, policy, force)


def _promote(place: Home, version: str | None, policy: Path | None, force: bool) -> Promotion:
    chosen = version or (_require_champion(place) if policy else latest(place))
    chosen = version_now(place.folder, chosen)
    if not place.bundle(chosen).is_dir():
        raise GateError(f"there is no bundle {chosen}: {_known(place)}")
    open_bundle(place.bundle(chosen))
    judgement = _judgement(place, chosen, force)
    verdict = judgement_verdict(judgement)
    if not verdict.passes and not force:
        raise GateError(f"{chosen} {verdict.text.splitlines()[0]}; --force promotes it all the same")
    if policy is not None:
        text, _ = read_policy(policy)
        chosen = write_with_policy(place.bundle(chosen), text, place.bundles, place.texts())
        keep_judgement(place, chosen, judgement)
    _keep_gate(place, chosen, verdict, force)
    write_champion(place.folder, chosen)
    Tracker.under(place.folder).promote_all(judgement.get("registered", {}))
    bundle = open_bundle(place.bundle(chosen), verify=False)
    unknown = unknown_names(bundle, bundle.policy.merchandising)
    return Promotion(chosen, verdict, force and not verdict.passes, tuple(unknown))


def latest(home: Home) -> str:
    """Return the version of the bundle that was trained last."""
    folders = [path for path in home.bundles.glob("*") if (path / "manifest.json").is_file()]
    if not folders:
        raise GateError(f"there is no bundle under {home.bundles}: run `tercet train SOURCE` first")
    return max(folders, key=lambda path: ((path / "manifest.json").stat().st_mtime_ns, path.name)).name


def keep_judgement(home: Home, version: str, judgement: Mapping[str, Any]) -> None:
    """Write how a bundle was judged beside it."""
    _write(home.report(version) / JUDGEMENT_FILE, judgement)


def judgement_record(judgements: Sequence[Judgement], registered: Mapping[str, str]) -> dict[str, Any]:
    """Return what is kept of a judgement: every row, the verdict, and the versions of the registered models."""
    verdict = compare(judgements)
    return {
        "passes": verdict.passes,
        "behind": list(verdict.behind),
        "undecided": list(verdict.undecided),
        "registered": dict(registered),
        "judgements": [judgement.as_dict() for judgement in judgements],
    }


def judgement_verdict(record: Mapping[str, Any]) -> Verdict:
    """Return the verdict that a kept judgement holds."""
    return Verdict(bool(record["passes"]), tuple(record["behind"]), tuple(record["undecided"]))


def _judgement(home: Home, version: str, force: bool) -> dict[str, Any]:
    path = home.report(version) / JUDGEMENT_FILE
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        judgement_verdict(found)
        return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        if force:
            return {"passes": False, "behind": ["nothing is known of how it was judged"], "undecided": []}
        raise GateError(
            f"nothing is known of how {version} was judged ({path.name} is missing or damaged): "
            "train it again, or use --force"
        ) from error


def _keep_gate(home: Home, version: str, verdict: Verdict, force: bool) -> None:
    record = {
        "version": version,
        "passes": verdict.passes,
        "behind": verdict.behind,
        "undecided": verdict.undecided,
        "forced": force and not verdict.passes,
        "before": home.champion(),
    }
    _write(home.report(version) / GATE_FILE, record)


def _write(path: Path, record: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(record, indent=1, allow_nan=True), encoding="utf-8")
    draft.replace(path)


def _line(row: MetricRow) -> str:
    return f"{row.model}, {row.task}: {row.metric} {row.ours:.4f} against {row.baseline} {row.baseline_value:.4f}"


def _require_champion(home: Home) -> str:
    champion = home.champion()
    if champion is None:
        raise GateError("there is no champion to give another policy: promote a bundle first")
    return champion


def _known(home: Home) -> str:
    names = sorted(path.name for path in home.bundles.glob("*") if (path / "manifest.json").is_file())
    return "known are " + ", ".join(names) if names else "run `tercet train SOURCE` first"
