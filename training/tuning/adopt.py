"""From a home's tuned configs to those that ship: ``python -m training.tuning.adopt HOME [MODEL…]``.

A config ships when its gain on the tuning cutoffs was above noise: its interval lies above zero. Else the values that
ship stay, and `[study]` names the search that confirmed them. For whoever makes a release; nothing else calls it.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.config import Study, parse_study, shipped_text
from training.errors import TuningError
from training.home_configs import CONFIGS
from training.tuning.config_text import with_values

SHIPPED = Path(__file__).resolve().parent.parent / CONFIGS


def adopted(tuned: str, shipped: str, *, where: str) -> str:
    """Return the text that ships: with the tuned values where these gained more than noise, else as it is, confirmed.

    Raises
    ------
    TuningError
        When the tuned text names no study, or one that never said what the shipped settings reached.
    """
    study = parse_study(tuned, where=where)
    if study is None or study.shipped_value is None or study.gain is None:
        raise TuningError(f"{where} has no [study] of `tercet tune`: only what was searched is adopted")
    if study.gain_low is not None and study.gain_low > 0:
        return with_values(shipped, _searched(tuned, shipped), study)
    return with_values(shipped, {}, replace(study, value=study.shipped_value, gain=0.0, gain_low=None, gain_high=None))


def _searched(tuned: str, shipped: str) -> dict[str, Any]:  # Any: settings of several types
    """Return the tuned values of what is searched, by dotted name; what else the shipped text says is its own."""
    found, values = tomllib.loads(tuned), {}
    for name in tomllib.loads(shipped).get("search", {}):
        *tables, key = name.split(".")
        table = found
        for each in tables:
            table = table.get(each, {})
        if key in table:
            values[name] = table[key]
    return values


def adopt(home: Path, names: Sequence[str] = ()) -> list[str]:
    """Return a line for each tuned config of a home, after writing what ships; all of them, or those of `names`."""
    folder = home / CONFIGS
    found = [str(path.relative_to(folder).with_suffix("")) for path in sorted(folder.rglob("*.toml"))]
    if unknown := sorted(set(names) - set(found)):
        raise TuningError(f"{folder} has no {', '.join(unknown)}: there are {', '.join(found) or 'none'}")
    return [_adopt_one(folder, name) for name in found if not names or name in names]


def _adopt_one(folder: Path, name: str) -> str:
    path = folder / f"{name}.toml"
    tuned = path.read_text(encoding="utf-8")
    text = adopted(tuned, shipped_text(name), where=str(path))
    (SHIPPED / f"{name}.toml").write_text(text, encoding="utf-8")
    study = parse_study(tuned, where=str(path))
    is_new = study is not None and study.gain_low is not None and study.gain_low > 0
    return f"{name}: {'adopted' if is_new else 'confirmed what ships'}, {_said(study)}"


def _said(study: Study | None) -> str:
    if study is None or study.gain is None:
        return "no study"
    interval = "" if study.gain_low is None else f" [{study.gain_low:+.2g}, {study.gain_high:+.2g}]"
    return f"{study.trials} trials, gain {study.gain:+.2g}{interval}"


if __name__ == "__main__":
    sys.stdout.write("\n".join(adopt(Path(sys.argv[1]), sys.argv[2:])) + "\n")
