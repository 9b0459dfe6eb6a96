"""Why an answer has fewer items than were asked for, by what the rules kept out of it."""

from __future__ import annotations

from collections.abc import Set

from serving.api_codes import ShortfallCode
from serving.decisioning.challenge_parts import N_HABITS
from serving.decisioning.rules import FILTERS, GONE, Withheld

Met = Set[Withheld]


def of_ranking(met: Met) -> ShortfallCode:
    """Return why a ranking is short."""
    if met & FILTERS:
        return ShortfallCode.FILTERS
    return ShortfallCode.EXCLUDED if met & GONE else ShortfallCode.NO_MORE_CANDIDATES


def of_challenge(n_picks: int, met: Met) -> ShortfallCode:
    """Return why a challenge has so few picks."""
    if met & GONE:
        return ShortfallCode.EXCLUDED
    return ShortfallCode.NOTHING_NEW if n_picks == N_HABITS else ShortfallCode.TOO_FEW_CATEGORIES


def of_also_bought(n_asked: int, n_known: int, met: Met) -> ShortfallCode:
    """Return why there is little that is bought together with the products asked about."""
    if not n_known:
        return ShortfallCode.UNKNOWN_PRODUCTS if n_asked else ShortfallCode.NO_PRODUCTS
    return ShortfallCode.EXCLUDED if met & GONE else ShortfallCode.NEVER_TOGETHER


def of_substitutes(met: Met) -> ShortfallCode:
    """Return why there is little that meets the same need."""
    return ShortfallCode.EXCLUDED if met & GONE else ShortfallCode.NO_SUBSTITUTES
