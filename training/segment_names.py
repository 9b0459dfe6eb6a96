"""Names of customer segments from their centres: what a group is, in a person's words, and no two alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from features import columns as c

FloatArray = npt.NDArray[np.float64]

CLEAR = 0.5
"""Standard deviations from the average customer from which on a trait is named."""

GONE = 1.0
"""Standard deviations of the days since the last trip from which on a group counts as lapsing."""

RARE = -1.5
"""Standard deviations of trips in 12 weeks up to which a lapsing group has gone quiet."""

TRAITS = {
    c.SPEND_PER_BASKET: ("big baskets", "small baskets"),
    c.N_CATEGORIES_PER_BASKET: ("broad baskets", "narrow baskets"),
    c.DISCOUNT_SHARE: ("deal seekers", "full-price buyers"),
    c.PRIVATE_LABEL_SHARE: ("own-brand buyers", "brand buyers"),
    c.BASKET_TREND_4W_12W: ("coming more often", "coming less often"),
}
"""What a high and a low centre are called, by column."""

PLAIN_TRAIT = "average baskets"


def segment_names(centres: FloatArray, columns: Sequence[str]) -> tuple[str, ...]:
    """Return one name a centre, no two alike, such as 'Frequent, big baskets' or 'Lapsing, deal seekers'.

    Parameters
    ----------
    centres
        Shape ``(n_groups, n_columns)``, in standard deviations from the average customer.
    columns
        What the columns of `centres` are; those without a name in ``TRAITS`` and of neither recency nor frequency are
        passed over.
    """
    described = [_phrases(dict(zip(columns, centre, strict=True))) for centre in centres]
    lengths = [min(2, len(phrases)) for phrases in described]
    names = _joined(described, lengths)
    while len(set(names)) < len(names):
        clashing = [i for i, name in enumerate(names) if names.count(name) > 1]
        longer = [i for i in clashing if lengths[i] < len(described[i])]
        if not longer:
            return _numbered(names)
        for i in longer:
            lengths[i] += 1
        names = _joined(described, lengths)
    return tuple(names)


def _phrases(centre: dict[str, float]) -> list[str]:
    """Return the rhythm of a group, then its traits, the clearest first."""
    traits = sorted(
        ((abs(value), TRAITS[column][int(value < 0)]) for column, value in centre.items() if column in TRAITS),
        key=lambda trait: (-trait[0], trait[1]),
    )
    clear = [phrase for distance, phrase in traits if distance >= CLEAR]
    return [_rhythm(centre), *(clear or [PLAIN_TRAIT])]


def _rhythm(centre: dict[str, float]) -> str:
    """Return how often and how lately a group shops, in a word."""
    recency, frequency = centre.get(c.RECENCY_DAYS, 0.0), centre.get(c.N_BASKETS_12W, 0.0)
    if recency >= GONE:
        return "Gone quiet" if frequency <= RARE else "Lapsing"
    if frequency >= CLEAR:
        return "Frequent"
    return "Occasional" if frequency <= -CLEAR else "Regular"


def _joined(described: Sequence[Sequence[str]], lengths: Sequence[int]) -> list[str]:
    return [", ".join(phrases[:n]) for phrases, n in zip(described, lengths, strict=True)]


def _numbered(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names with a number after each repetition of one: the groups differ less than words can say."""
    seen: dict[str, int] = {}
    numbered = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        numbered.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(numbered)
