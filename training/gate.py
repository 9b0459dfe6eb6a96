"""Which bundle serves: the promotion, which goes by what the gate said of each model (docs/gate.md).

What `tercet train` found out is kept beside the bundle, with the gate's table (training/gate_record.py); what a
promotion did, in ``reports/<version>/gate.json``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from serving.bundle import open_bundle, write_with_policy
from serving.champion import write_champion
from serving.decisioning.merchandising import unknown_names
from serving.decisioning.policy import parse_policy
from serving.home_lock import working_in
from serving.renamed import version_now
from training.errors import GateError
from training.gate_record import (
    JUDGEMENT_FILE,
    GateRecord,
    Verdict,
    read_record,
    stands,
    verdict_of,
    write_json,
    write_record,
)
from training.gate_rules import Decision, decide
from training.home import Home, read_policy
from training.results import KeptResults, ModelResults
from training.tracking import Tracker

GATE_FILE = "gate.json"
UNKNOWN = "nothing is known of how it was judged"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Promotion:
    """What a promotion did; `table` is what it went by, `unknown` what the policy names and the bundle doesn't know."""

    version: str
    verdict: Verdict
    forced: bool
    table: str = ""
    unknown: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return what happened, for a person."""
        how = " (forced)" if self.forced else ""
        notes = [f"note, policy.toml: {each}" for each in self.unknown]
        table = [self.table, ""] if self.table else []
        return "\n".join([*table, self.verdict.text, *notes, f"{self.version} is the champion{how}"])


def promote(home: Path, version: str | None = None, *, policy: Path | None = None, force: bool = False) -> Promotion:
    """Make a bundle the champion; without a version, the latest trained one, or with `policy` the champion itself.

    It goes by the gate's table, which was made beside the champion of that time; where another one serves now, by what
    is kept of both on the same data. A bundle that has served before is let back in as it is. With `policy` the bundle
    is written anew with that policy and the home's texts, as a version of its own. `force` promotes a bundle that does
    not pass: `gate.json`, a warning in the log and MLflow's tags say so. The models of the bundle get the alias
    `champion` in MLflow; where that can't be reached, a warning is logged and the promotion stands.

    Raises
    ------
    GateError
        When there is no such bundle, when nothing is known of how it was judged, or when it does not pass.
    BundleError, PolicyError
        When the bundle is damaged, or the policy has mistakes.
    """
    with working_in(home):
        return _promote(Home(home), version, policy, force)


def promote_first(home: Home, version: str, say: Callable[[str], None]) -> None:
    """Make the first bundle of a home the champion, if it passes; say what happened, and what to do when it doesn't."""
    if home.champion() is not None:
        say(f"bundle {version} waits for `tercet promote`; {home.champion()} serves on")
        return
    try:
        promotion = promote(home.folder, version)
        say(replace(promotion, table="").text.replace("\n", "; "))
    except GateError as error:
        say(str(error))


def table_of(home: Path, version: str) -> str:
    """Return the gate's table of a bundle; empty where none is kept."""
    record = read_record(Home(home).report(version))
    return "" if record is None else record.table


def latest(home: Home) -> str:
    """Return the version of the bundle that was trained last."""
    folders = [path for path in home.bundles.glob("*") if (path / "manifest.json").is_file()]
    if not folders:
        raise GateError(f"there is no bundle under {home.bundles}: run `tercet train SOURCE` first")
    return max(folders, key=lambda path: ((path / "manifest.json").stat().st_mtime_ns, path.name)).name


def _promote(place: Home, version: str | None, policy: Path | None, force: bool) -> Promotion:
    chosen = version or (_require_champion(place) if policy else latest(place))
    chosen = version_now(place.folder, chosen)
    if not place.bundle(chosen).is_dir():
        raise GateError(f"there is no bundle {chosen}: {_known(place)}")
    open_bundle(place.bundle(chosen))
    record = _record(place, chosen, force)
    found = _as_things_stand(place, chosen, record)
    if not found.verdict.passes and not force:
        raise GateError(f"{chosen} {found.verdict.text.splitlines()[0]}; --force promotes it all the same")
    if policy is not None:
        text, _ = read_policy(policy)
        chosen = write_with_policy(place.bundle(chosen), text, place.bundles, place.texts())
        write_record(place.report(chosen), record)
    is_forced = force and not found.verdict.passes
    _leave_trace(place, chosen, found, is_forced)
    write_champion(place.folder, chosen)
    Tracker.under(place.folder).promote_all(record.registered, _tags(found, is_forced))
    bundle = open_bundle(place.bundle(chosen), verify=False)
    unknown = unknown_names(bundle, bundle.policy.merchandising)
    return Promotion(chosen, found.verdict, is_forced, found.table, tuple(unknown))


def _as_things_stand(place: Home, version: str, record: GateRecord) -> GateRecord:
    """Return what is to be gone by now: the record itself, or one beside the bundle that serves meanwhile."""
    champion = place.champion()
    if champion is None or champion == version or _has_served(place, version):
        return record
    serving = read_record(place.report(champion))
    judged_beside = version_now(place.folder, record.champion) if record.champion else ""
    if judged_beside == champion or not record.decisions:
        return record
    if serving is not None and judged_beside and serving.bundle == _judged_as(place, judged_beside):
        return record  # the same models under another policy
    decisions = None if serving is None else _decided_again(place, record, serving)
    if decisions is None:
        beside = f"beside {record.champion}" if record.champion else "when nothing served"
        why = (
            f"it was judged {beside}; {champion} serves now, and nothing is kept of both on the same data: train again"
        )
        return replace(record, champion=champion, verdict=Verdict(False, (why,), ()))
    return replace(record, champion=champion, decisions=tuple(decisions), verdict=verdict_of(decisions))


def _decided_again(place: Home, record: GateRecord, serving: GateRecord) -> list[Decision] | None:
    """Return the decisions of one bundle's models beside another's, from kept results; None where these don't do."""
    kept, bounds = KeptResults.under(place.folder), parse_policy(place.policy_text()).gate
    found = []
    for model, digest in record.results.items():
        ours, theirs = kept.find(model, digest), kept.find(model, serving.results.get(model, ""))
        if ours is None or theirs is None or not _is_same_data(ours, theirs):
            return None
        is_same = digest == serving.results[model]
        found.append(decide(ours.judgement, theirs.judgement, bounds, is_same=is_same))
    return stands(found) if found else None


def _is_same_data(one: ModelResults, other: ModelResults) -> bool:
    return (one.key.data, one.key.known_until_us, one.key.cutoffs) == (
        other.key.data,
        other.key.known_until_us,
        other.key.cutoffs,
    )


def _has_served(place: Home, version: str) -> bool:
    """Return whether a bundle was the champion before: going back needs no comparison."""
    return (place.report(version) / GATE_FILE).is_file()


def _judged_as(place: Home, version: str) -> str:
    """Return the version under which a bundle's models were judged: another one where only its policy is new."""
    record = read_record(place.report(version))
    return version if record is None or not record.bundle else record.bundle


def _record(home: Home, version: str, force: bool) -> GateRecord:
    found = read_record(home.report(version))
    if found is not None:
        return found
    if force:
        return GateRecord(version, "", (), Verdict(False, (UNKNOWN,), ()))
    raise GateError(
        f"{UNKNOWN.replace('it', version)} ({JUDGEMENT_FILE} is missing or damaged): train it again, or use --force"
    )


def _leave_trace(home: Home, version: str, found: GateRecord, is_forced: bool) -> None:
    trace = {
        "version": version,
        **asdict(found.verdict),
        "forced": is_forced,
        "before": home.champion(),
        "models": {each.model: str(each.outcome) for each in found.decisions},
        "table": found.table,
    }
    write_json(home.report(version) / GATE_FILE, trace)
    if is_forced:
        _log.warning("bundle %s is promoted by force: it %s", version, found.verdict.text.splitlines()[0])


def _tags(found: GateRecord, is_forced: bool) -> Mapping[str, str]:
    """Return the tags of what is promoted in MLflow."""
    forced = {"forced": "; ".join(found.verdict.behind)} if is_forced else {}
    return {"promoted": "by force" if is_forced else "yes", **forced}


def _require_champion(home: Home) -> str:
    champion = home.champion()
    if champion is None:
        raise GateError("there is no champion to give another policy: promote a bundle first")
    return champion


def _known(home: Home) -> str:
    names = sorted(path.name for path in home.bundles.glob("*") if (path / "manifest.json").is_file())
    return "known are " + ", ".join(names) if names else "run `tercet train SOURCE` first"
