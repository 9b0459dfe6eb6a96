"""`make fuzz`: every target for its share of the minutes; what broke one is left in `build/fuzz`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.api import fuzz_api
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import CORPUS, TARGETS, corpus_of

API = "api"
SECONDS_AN_INPUT = 20
MEMORY_MB = 4_096
_CHUNK = 50


def guided(name: str, seconds: float, found: Path, seed: int) -> bool:
    """Fuzz a target under atheris and say whether it held."""
    options = [
        f"-max_total_time={seconds:.0f}",
        f"-timeout={SECONDS_AN_INPUT}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-artifact_prefix={found}/",
        f"-seed={seed}",
        "-print_final_stats=1",
    ]
    with tempfile.TemporaryDirectory(prefix="tercet-fuzz-") as scratch:
        command = [sys.executable, "-m", "tests.fuzz.one", name, *options]
        return subprocess.run(command, env={**os.environ, "TMPDIR": scratch}, check=False).returncode == 0


def blind(name: str, seconds: float, found: Path, seed: int) -> bool:
    """Fuzz a target with seeded mutations alone and say whether it held."""
    target = TARGETS[name]
    run, seeds, until, n = target.make(), [*target.seeds(), *corpus_of(name).values()], time.monotonic() + seconds, 0
    while time.monotonic() < until:
        for data in mutated(seeds, target.words(), _CHUNK, seed + n):
            try:
                run(data)
            except Exception as error:
                place = found / f"crash-{seed}-{n}"
                place.write_bytes(data)
                print(f"{name}: {type(error).__name__}: {error}; the input is {place}")
                return False
            n += 1
    print(f"{name}: {n} inputs")
    return True


def main() -> int:
    """Run what the arguments say; 1 when something was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--only", choices=sorted([API, *TARGETS]), action="append")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    given = parser.parse_args()
    names = given.only or [API, *TARGETS]
    fuzz = guided if find_spec("atheris") is not None else blind
    if fuzz is blind:
        print("there is no atheris here: seeded mutations without coverage instead")
    broke = []
    for name in names:
        found, seconds = Path("build") / "fuzz" / name, given.minutes * 60 / len(names)
        found.mkdir(parents=True, exist_ok=True)
        print(f"== {name}, {seconds:.0f} s, seed {given.seed}", flush=True)
        held = fuzz_api(seconds, given.seed) if name == API else fuzz(name, seconds, found, given.seed)
        if not held:
            broke.append(name)
    if broke:
        print(
            f"broke: {', '.join(broke)}. Mend it, and keep the input of build/fuzz in {CORPUS.name}/, under its target"
        )
    return int(bool(broke))


if __name__ == "__main__":
    sys.exit(main())
