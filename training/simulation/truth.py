"""The truth that we set: what messages and offers do to a simulated customer."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Truth:
    """What an offer that reaches a customer does, and what it costs.

    Log-odds hold for a fully receptive customer: each has a receptiveness in 0 to 1 of their own, which grows with the
    share of their lines bought at a discount, and fatigue takes from it.
    """

    lift: float = 2.5
    """Log-odds added, on each trip, to buying each type that the offer is for, until it is redeemed or ends."""

    depth_weight: float = 0.5
    """How far a value of twice `usual_depth` of the price lifts more (as a power); 0: any discount does the same."""

    usual_depth: float = 0.3
    trip_lift: float = 0.15
    """Log-odds added to coming on a day while an offer is held."""

    clip: float = 0.6
    """Chance that a receptive customer uses the offer for what they would have bought anyway."""

    fatigue: float = 0.25
    """Receptiveness is multiplied by ``exp(-fatigue)`` for each message of the last 28 days."""

    leave: float = 0.0005
    """Chance to unsubscribe at a message, the first in 28 days."""

    leave_growth: float = 0.5
    """That chance grows by this share with each message of the last 28 days."""

    irrelevance: float = 3.0
    """And is multiplied by this where the offer is for nothing that they buy."""

    reach_worth: float = 0.1
    """Log-odds of a trip that a customer loses for good by leaving the channel."""

    valid_days: int = 7
    """Days for which a customer holds an offer that reached them, unless it ends before."""

    spread: float = 0.5
    """How much of receptiveness is the customer's own, and not told by their share of discounted lines."""

    def scaled(self, factor: float) -> Truth:
        """Return a truth whose offers do `factor` times as much."""
        return replace(self, lift=self.lift * factor, trip_lift=self.trip_lift * factor)


NO_EFFECT = Truth(lift=0.0, trip_lift=0.0, clip=0.0, leave=0.0, reach_worth=0.0)
"""Messages change nothing at all: nobody redeems or leaves, and nobody buys more."""
