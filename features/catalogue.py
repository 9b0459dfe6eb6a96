"""Every feature's name, group, unit and meaning, read from the SQL that makes it; docs/features.md is made from this.

In a group's last select each column's line ends in a comment `-- unit: meaning`. The catalogue is those comments, so
that a feature is described where it is defined and nowhere else.

`python -m features.catalogue > docs/features.md` writes the page.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from types import MappingProxyType
from typing import Final

from features.build import GROUPS, LABELS, FeatureGroup

UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "row": "a dense row, int32 from 0 (docs/architecture.md, part 1)",
        "count": "a whole number from 0",
        "weight": "a sum of weights, from 0",
        "day": "a local day number since 1970-01-01",
        "days": "local days, from 0",
        "time": "microseconds since 1970-01-01 UTC",
        "name": "text, as the source has it",
        "number": "a whole number in the range given",
        "quantity": "in the unit in which the product is sold, from 0",
        "money": "in the source's currency",
        "share": "0 to 1",
        "ratio": "one thing for each of another, from 0",
        "rate": "a part of the whole, at most 1; below 0 for a loss",
        "flag": "true or false",
    }
)
_DESCRIBED: Final = re.compile(rf"^(?P<column>.*\w),?\s+-- (?P<unit>{'|'.join(UNITS)}): (?P<meaning>.+)$")


@dataclass(frozen=True)
class Feature:
    """One column of a feature group; `unit` is a key of `UNITS`, `is_key` says that it is part of the grain."""

    name: str
    group: str
    unit: str
    meaning: str
    is_key: bool


def features_of(group: FeatureGroup) -> tuple[Feature, ...]:
    """Return the columns of a group in the order in which it has them."""
    return tuple(_described(group))


def catalogue() -> tuple[Feature, ...]:
    """Return the features of all groups and of the labels, in the order of `GROUPS`."""
    return tuple(feature for group in (*GROUPS.values(), LABELS) for feature in _described(group))


def catalogue_digest() -> str:
    """Return a digest of every feature's name, group, unit and meaning, 32 hex digits: which features a bundle knew."""
    told = "\n".join(f"{each.group}.{each.name} {each.unit}: {each.meaning}" for each in catalogue())
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def markdown() -> str:
    """Return docs/features.md: a section for each file of SQL, a line for each feature."""
    by_file: dict[str, list[FeatureGroup]] = {}
    for group in (*GROUPS.values(), LABELS):
        by_file.setdefault(group.file, []).append(group)
    sections = [_section(groups) for groups in by_file.values()]
    units = "\n".join(f"| {unit} | {meaning} |" for unit, meaning in UNITS.items())
    return "\n\n".join([_TITLE, f"| unit | means |\n| --- | --- |\n{units}", *sections]) + "\n"


def _described(group: FeatureGroup) -> Iterable[Feature]:
    for line in group.sql().splitlines():
        found = _DESCRIBED.match(line)
        if found:
            name = re.split(r"[\s.]", found["column"])[-1]
            yield Feature(name, group.name, found["unit"], found["meaning"], name in group.grain)


def _section(groups: list[FeatureGroup]) -> str:
    """Return the section of one file, which the three levels of a group share."""
    first = groups[0]
    title = ", ".join(f"`{group.name}`" for group in groups)
    header = takewhile(lambda line: line.startswith("-- "), first.template().splitlines())
    about = "\n".join(line.removeprefix("-- ") for line in header)
    rows = "\n".join(f"| {_shown(each)} | {each.unit} | {each.meaning} |" for each in features_of(first))
    levels = "" if len(groups) == 1 else f"\n\nShown for the level `{first.level}`; the others have the same columns."
    return f"## {title}\n\n```text\n{about}\n```{levels}\n\n| column | unit | meaning |\n| --- | --- | --- |\n{rows}"


def _shown(feature: Feature) -> str:
    return f"**`{feature.name}`**" if feature.is_key else f"`{feature.name}`"


_TITLE: Final = """# Features

Made from the comments in `features/groups/*.sql` by `python -m features.catalogue > docs/features.md`; a test fails
when it is stale.

Every feature is true of a moment (`as_of`) and sees only what happened strictly before it. Ages are in local days:
1 is yesterday when the moment is a midnight; "the last 28 days" are those with an age of at most 28. Gaps lie between
the local days of two baskets, so two baskets on the same day are 0 days apart. Spend and trips count all lines; all
that is said about items counts merchandise only, net of the returns known at the moment. What the source cannot tell
(amounts, times of day, costs, stores, channels) is null, never 0. Columns of the grain are in bold."""


if __name__ == "__main__":
    sys.stdout.write(markdown())
