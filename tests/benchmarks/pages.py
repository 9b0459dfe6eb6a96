"""docs/benchmarks.md, made of the committed results; a test holds the page to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.goals import scale_goals, standings
from tests.benchmarks.results import FOLDER, Results, from_json
from tests.benchmarks.servers import PEERS, ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
INTRODUCTION = Path(__file__).with_name("introduction.md")
_CALLS = ("challenge", "recommendations")
_NAMES = {
    "floor": "raw ASGI on uvicorn, uvloop and httptools: a ready answer (the floor)",
    "starlette": "Starlette: a ready answer",
    "mount": "BentoML as tercet sets it, a ready answer where tercet's application sits (our own mount)",
    "fastapi": "FastAPI, the customer looked up, LightGBM over 200 candidates (what a team would write in a day)",
    "bento_api": "`@bentoml.api` with its defaults: a ready answer",
    "challenge": "**`/v1/challenge`**",
    "recommendations": "**`/v1/recommendations`**",
    "challenge, two workers": "`/v1/challenge`, two workers",
    "recommendations, two workers": "`/v1/recommendations`, two workers",
    "events": "`/v1/events` of one event, durable, two workers, 16 clients",
    "scores": "`/v1/scores` of 1,000 customers with 10 categories each, one client",
}
Cells = Sequence[str]
SCALE_FOLDER = FOLDER / "scale"
_GROWS = {
    "MB": "the bundle, MB",
    "bytes a customer": "bytes a customer",
    "make s": "drawn and written, s",
    "check s": "first opening on a machine (every byte hashed, every value checked), s",
    "load s": "later openings, s",
    "private MB": "memory of a process with an engine, its own, MB",
    **{
        f"{call}, {when}, {tail}": f"engine, {call}, {says}: {tail}, µs"
        for call in ("challenge", "recommendations")
        for when, says in (("first", "customers not asked for before"), ("again", "the same again"))
        for tail in ("p50", "p99")
    },
}


def whole_page(folder: Path = FOLDER) -> str:
    """Return the text of docs/benchmarks.md, from all committed results."""
    found = [from_json(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    scales = [from_json(path.read_text("utf-8")) for path in sorted((folder / SCALE_FOLDER.name).glob("*.json"))]
    return "\n\n".join([INTRODUCTION.read_text("utf-8").strip(), *map(page, found), *map(scale_page, scales)]) + "\n"


def page(results: Results) -> str:
    """Return what a run found, as Markdown."""
    parts = [
        f"## {results.about['bundle']}",
        _surroundings(results),
        "### What was asked for",
        _table(("goal", "bound", "measured", ""), _goal_rows(results)),
        "### The whole server",
        _table(
            ("one worker, 32 clients", "requests a second", "CPU µs a request", "p50 ms", "p99 ms", "machine idle"),
            _rates(results),
        ),
        "Ratios within a round, the median of the rounds and in brackets their range:",
        _table(("", *(f"÷ {name}" for name in PEERS)), _beside(results)),
        *_latency(results),
        "### The parts",
        _table(("part", "µs", "÷ yardstick"), _parts(results)),
    ]
    return "\n\n".join(parts)


def scale_page(results: Results) -> str:
    """Return how a bundle grows with its customers, as Markdown."""
    sizes = results.about["sizes"]
    rows = [
        (says, *(_number(results.series[f"{size}: {what}"].median) for size in sizes), _exponent(results, what))
        for what, says in _GROWS.items()
        if all(f"{size}: {what}" in results.series for size in sizes)
    ]
    held = [
        (each.goal.says, each.goal.bound, _number(each.number), "met" if each.is_met else "**missed**")
        for each in standings(results, scale_goals(sizes[0], sizes[-1]))
    ]
    largest, ending = f"{sizes[-1]}: ", " bytes"
    groups = {
        name.removeprefix(largest).removesuffix(ending): series.median
        for name, series in results.series.items()
        if name.startswith(largest) and name.endswith(ending)
    }
    told = ", ".join(f"{name} {n:,.0f}" for name, n in sorted(groups.items(), key=lambda pair: -pair[1]))
    parts = [
        f"## {results.about['bundle']}",
        _surroundings(results),
        "### What was asked for of the largest",
        _table(("goal", "bound", "measured", ""), iter(held)),
        f"Bytes a customer of the largest, by what they hold (architecture, part 5): {told}.",
        "### How it grows",
        _table(("", *(f"{size:,}" for size in sizes), "exponent"), iter(rows)),
    ]
    return "\n\n".join(parts)


def _exponent(results: Results, what: str) -> str:
    found = results.series.get(f"exponent: {what}")
    return "" if found is None else f"{found.median:.2f}"


def _surroundings(results: Results) -> str:
    about = results.about
    machine = about["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    loads = "; ".join(
        f"{when} {', '.join(f'{each:g}' for each in about['load'][when])}" for when in ("before", "after")
    )
    return (
        f"{about['date']}, commit {about['commit']}, measured by {about['client']}"
        f"{' with QUICK=1' if about['quick'] else ''}. {machine['processor']}, "
        f"{machine['cores']} cores, {machine['memory_gib']:g} GiB, {machine['system']}. {versions}. "
        f"Load averages of 1, 5 and 15 minutes: {loads}."
    )


def _goal_rows(results: Results) -> Iterator[Cells]:
    for each in standings(results):
        # One digit more than elsewhere: rounded to its bound a number that misses it would seem to meet it.
        number = f"{each.number:,.0f}" if each.number >= 1000 else f"{each.number:.4g}"
        yield each.goal.says, each.goal.bound, number, "met" if each.is_met else "**missed**"


def _rates(results: Results) -> Iterator[Cells]:
    for name, says in _NAMES.items():
        if f"{name} rate" in results.series:
            of = {what: results.series[f"{name} {what}"].median for what in ("rate", "CPU", "p50", "p99")}
            rate, cpu, p50, p99 = of["rate"], of["CPU"], of["p50"] / 1000, of["p99"] / 1000
            idle = results.series.get(f"{name} idle")  # not told by runs of before
            told = "" if idle is None else f"{idle.median:.0%}"
            yield says, f"{rate:,.0f}", f"{cpu:,.0f}", f"{p50:.2f}", f"{p99:.2f}", told


def _beside(results: Results) -> Iterator[Cells]:
    for what in ("", " CPU"):
        for call in _CALLS:
            names = [f"{call}{what} ÷ {peer}" for peer in PEERS]
            yield f"`/v1/{call}`, {what.strip() or 'rate'}", *(_with_range(results, name) for name in names)


def _with_range(results: Results, name: str) -> str:
    found = results.ratios.get(name)
    if found is None:
        return ""
    return f"{_number(found.median)} ({_number(min(found.values))} to {_number(max(found.values))})"


def _latency(results: Results) -> Iterator[str]:
    rows = [
        (f"`/v1/{call}`", *(f"{results.series[f'{call} at 8 {tail}'].median / 1000:.2f}" for tail in ("p50", "p99")))
        for call in _CALLS
    ]
    yield _table(("8 clients", "p50 ms", "p99 ms"), iter(rows))
    if "pauses" in results.series:
        told = []
        for whose, name in (("", "tercet"), (" of the floor", "the floor at the same rate")):
            if f"pauses{whose}" in results.series:
                longest = max(results.series[f"longest at half load{whose}"].values)
                rate = results.series[f"half load{whose}"].median
                pauses = results.series[f"pauses{whose}"].median
                waited = results.series[f"waited at half load{whose}"].median
                told.append((name, f"{rate:,.0f}", f"{pauses:.0f}", f"{longest:.0f}", f"{waited:.0%}"))
        head = (
            "half load",
            "requests a second",
            "answers over 50 ms a minute",
            "longest ms",
            "ready, but without a core",
        )
        yield _table(head, iter(told))
    yield f"A flush of 200 bytes to this disk takes {results.series['flush'].median:,.0f} µs."


def _parts(results: Results) -> Iterator[Cells]:
    for name, series in sorted(results.series.items()):
        if ratio := results.ratios.get(f"{name} ÷ yardstick"):
            yield name, _number(series.median), _number(ratio.median)


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _table(head: Cells, rows: Iterator[Cells]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
