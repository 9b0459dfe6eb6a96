"""`make bench`: parts and the whole server beside its peers, and what became slower than the committed results say.

Exit status: 0, or 1 where something became slower by more than noise, or 2 where it could not be measured. A goal that
is missed is said, and changes nothing. With `--record` the results are written to `tests/benchmarks/results/`, and
docs/benchmarks.md is made of them; these are to be committed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from serving.bundle import Bundle, open_bundle
from tests.benchmarks import results as kept
from tests.benchmarks.big_bundle import Scale, write_big_bundle
from tests.benchmarks.compare import compare, told
from tests.benchmarks.goals import standings
from tests.benchmarks.load import LoadError, client_name
from tests.benchmarks.pages import PAGE, page, whole_page
from tests.benchmarks.parts import PartsError, measure_parts
from tests.benchmarks.results import Results, ResultsError
from tests.benchmarks.servers import PeerError, champion_bundle, home_of
from tests.benchmarks.whole import QUICK, Plan, measure_whole

DRAWN = Scale(customers=10_000, products=20_000)
SLOWER, FAILED = 1, 2


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--home", type=Path, help="a home whose champion is measured; else a drawn bundle is")
    parser.add_argument("--quick", action="store_true", help="under two minutes, with more noise")
    parser.add_argument("--record", action="store_true", help="write the results that are to be committed")
    options = parser.parse_args(arguments)
    try:
        results = run(options.home, is_quick=options.quick)
        return report(results, is_recorded=options.record)
    except (PeerError, LoadError, PartsError, ResultsError) as error:
        print(f"could not be measured: {error}", file=sys.stderr)
        return FAILED


def run(home: Path | None, *, is_quick: bool) -> Results:
    """Return what is measured over the champion of a home, or over a drawn bundle where it has none."""
    load_before = os.getloadavg()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bundle = (champion_bundle(home) if home is not None else None) or _drawn(folder)
        began = time.monotonic()
        say(f"{about_bundle(bundle)}; load before: {load_before[0]:.1f}")
        say("parts")
        parts = measure_parts(home_of(bundle, folder / "home"), is_quick=is_quick)
        whole = measure_whole(bundle, QUICK if is_quick else Plan(), say)
        about = {
            "bundle": about_bundle(bundle),
            "source": bundle.manifest.source_name,
            "quick": is_quick,
            "client": client_name(),
            "minutes": round((time.monotonic() - began) / 60, 1),
            **kept.surroundings(load_before),
        }
    return Results(about, {**parts.series, **whole.series}, {**parts.ratios, **whole.ratios})


def _drawn(folder: Path) -> Bundle:
    version = write_big_bundle(DRAWN, folder / "drawn")
    drawn = open_bundle(folder / "drawn" / version, verify=False)
    return replace(drawn, manifest=replace(drawn.manifest, source_name="drawn"))


def about_bundle(bundle: Bundle) -> str:
    """Return what is measured over, in words."""
    sizes = bundle.manifest.sizes
    return f"{bundle.manifest.source_name}: {sizes['customers']:,} customers, {sizes['products']:,} products"


def report(results: Results, *, is_recorded: bool) -> int:
    """Print what was found and how it stands; write it where it is to be recorded. Returns the exit status."""
    print(page(results))
    comparison = compare(results, kept.committed(results.about["source"]))
    print("\n".join(told(comparison)))
    missed = [each for each in standings(results) if not each.is_met]
    print(f"{len(missed)} goals are missed" + "".join(f"\n  {each.goal.says}: {each.number:.3g}" for each in missed))
    if is_recorded:
        kept.FOLDER.mkdir(exist_ok=True)
        path = kept.FOLDER / f"{results.about['source']}.json"
        path.write_text(kept.to_json(results), encoding="utf-8")
        PAGE.write_text(whole_page(), encoding="utf-8")
        print(f"written: {path.name} and {PAGE.name}")
    return SLOWER if comparison.worse else 0


def say(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
