"""The report of a replay: what another policy would have changed, as tables that a person can read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from features.asof import at_utc
from training.judge import aligned
from training.replay_found import MEASURES, Replayed, Tally

N_CATEGORIES = 10
N_MOVED = 5
_N_RULES = 12
_NAME = 40


def replay_text(found: Replayed, policy: str) -> str:
    """Return the report as plain text."""
    span = " to ".join(f"{at_utc(us):%Y-%m-%d %H:%M}" for us in (found.from_us, found.to_us))
    header = ["call", "decisions", "own policy as recorded", "changed", "items changed", *MEASURES]
    calls = sorted(found.calls.items())
    parts = [
        f"{policy} against the policy of each decision's bundle, {span} UTC",
        aligned([header, *(_cells(call, tally) for call, tally in calls)]),
        *_policies(found),
        *_categories(found),
        *_withheld(calls),
        *(part for call, tally in calls for part in _moved(call, tally, found)),
        *(part for call, tally in calls for part in _examples(call, tally)),
    ]
    left_out = [f"- left out, as {why}: {n:,}" for why, n in sorted(found.left_out.items())]
    return "\n\n".join([*parts, *(["\n".join(left_out)] if left_out else [])])


def _policies(found: Replayed) -> Iterator[str]:
    """Yield what the policy says differently, once for all bundles of which that is the same."""
    versions: dict[tuple[str, ...], list[str]] = {}
    for version, changes in sorted(found.policies.items()):
        versions.setdefault(changes, []).append(version)
    for changes, of in versions.items():
        lines = [f"- {each}" for each in changes[:_N_RULES]] or ["- nothing: it is the same policy"]
        if len(changes) > _N_RULES:
            lines.append(f"- and {len(changes) - _N_RULES} more")
        yield "\n".join([f"what it changes of the policy of {', '.join(of)}:", *lines])


def _categories(found: Replayed) -> Iterator[str]:
    moved = sorted(found.categories.items(), key=lambda each: (-abs(each[1][1] - each[1][0]), each[0]))
    rows = [[name, f"{own:,}", f"{other:,}", f"{other - own:+,}"] for name, (own, other) in moved if own != other]
    if rows:
        yield aligned([["category", "shown", "would be", "difference"], *rows[:N_CATEGORIES]])


def _withheld(calls: list[tuple[str, Tally]]) -> Iterator[str]:
    rows = [
        [call, reason, f"{own:,}", f"{other:,}", f"{other - own:+,}"]
        for call, tally in calls
        for reason, (own, other) in sorted(tally.withheld.items(), key=lambda each: (-max(each[1]), each[0]))
    ]
    if rows:
        yield aligned([["call", "withheld, as", "was", "would be", "difference"], *rows])


def _moved(call: str, tally: Tally, found: Replayed) -> Iterator[str]:
    rows = [
        [_named(each, found), f"{tally.came_in[each]:,}", f"{tally.went_out[each]:,}"]
        for each in _most(tally.came_in, tally.went_out)
    ]
    if rows:
        yield aligned([[f"{call}: what moves most", "comes in", "goes out"], *rows])


def _most(came_in: Counter[str], went_out: Counter[str]) -> list[str]:
    both = came_in + went_out
    return sorted(both, key=lambda each: (-both[each], each))[: 2 * N_MOVED]


def _named(item_id: str, found: Replayed) -> str:
    name = found.names.get(item_id)
    return item_id if name in (None, item_id) else f"{item_id} {name}"[:_NAME]


def _examples(call: str, tally: Tally) -> Iterator[str]:
    rows = [[each.decision_id, str(each.before), str(each.after), f"{each.gain:+.4f}"] for each in tally.examples]
    if rows:
        yield aligned([[f"{call}: a decision", "gives", "would give", "expected value"], *rows])


def _cells(call: str, tally: Tally) -> list[str]:
    def share(part: int, whole: int) -> str:
        return f"{part / whole:.1%}" if whole else "-"

    def means(name: str) -> str:
        if name not in tally.own:
            return ""
        return f"{tally.own[name] / tally.n:.4f} → {tally.other.get(name, 0.0) / tally.n:.4f}"

    return [
        call,
        f"{tally.n:,}",
        share(tally.n_as_recorded, tally.n_by_own_policy),
        share(tally.n_changed, tally.n),
        share(tally.n_items_changed, tally.n_items),
        *map(means, MEASURES),
    ]
