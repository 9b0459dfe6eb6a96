"""Engagement tiers: how a customer takes messages, by how many were sent to them and what came of those.

One definition for training (``training/profile.py``, which finds the cuts and labels everyone), for /v1/scores and for
whoever decides after the events of today.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MIN_SENT = 3
"""Messages from which on no answer at all means silent; with fewer, nothing is known yet."""

BEFORE_SENT, BEFORE_ANSWERED = 10.0, 1.0
"""What is believed of a customer before anything was sent to them: one answer in ten messages."""


class Tier(StrEnum):
    """The tiers, from those who answer most to those of whom nothing is known."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    SILENT = "silent"
    UNTESTED = "untested"


@dataclass(frozen=True)
class TierCuts:
    """The drawn shares of answers up to which a customer who answers is `low`, and up to which `medium`."""

    low: float
    high: float


PLAIN_CUTS = TierCuts(0.1, 0.2)
"""Of a shop that has sent nothing yet: as often as is believed beforehand, and twice as often."""


def answer_rate(n_sent: float, n_answered: float) -> float:
    """Return the share of messages that are answered, drawn to what is believed beforehand.

    Examples
    --------
    >>> answer_rate(0, 0), answer_rate(10, 3)
    (0.1, 0.2)
    """
    return (n_answered + BEFORE_ANSWERED) / (n_sent + BEFORE_SENT)


def tier_of(n_sent: int, n_answered: int, cuts: TierCuts) -> Tier:
    """Return the tier of one customer by all that was sent to them, and all opens, clicks and redemptions.

    Examples
    --------
    >>> [str(tier_of(*counts, PLAIN_CUTS)) for counts in ((2, 0), (3, 0), (20, 1), (10, 3), (10, 4))]
    ['untested', 'silent', 'low', 'medium', 'high']
    """
    if n_answered <= 0:
        return Tier.UNTESTED if n_sent < MIN_SENT else Tier.SILENT
    rate = answer_rate(n_sent, n_answered)
    if rate > cuts.high:
        return Tier.HIGH
    return Tier.MEDIUM if rate > cuts.low else Tier.LOW
