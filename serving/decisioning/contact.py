"""What was sent and shown to one customer, and what came of it: the bundle's account and the events since, each once.

Pure: a bundle's part enters as `Past` (serving/contact_desk.py reads it), events as those that the bundle does not hold
(serving/live_events.py). Windows are half-open: what was sent exactly one window ago has left it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from serving.channels import CHANNELS, Channel
from serving.state.consent import refused_channels
from serving.state.events import Event, EventType
from serving.tier import Tier

DAY_US = 86_400_000_000
ANSWERS = frozenset({EventType.OPEN, EventType.CLICK, EventType.REDEEM})
"""Events by which a message counts as answered."""

_CHANNELS = {channel.value: channel for channel in CHANNELS}
_NONE = (0,) * len(CHANNELS)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message: when it went out, on which channel (None: the source doesn't say), about which offers, if any."""

    at_us: int
    channel: Channel | None = None
    offer_ids: tuple[str, ...] = ()
    is_answered: bool = False


@dataclass(frozen=True, slots=True)
class Past:
    """What a bundle knows of one customer's messages, all time before its as-of; `sends` are those of its last 28 days.

    `sent` and `answered` count messages and answers on any channel or none, `left` how often each channel of `CHANNELS`
    was left. `return_share` is pieces given back ÷ pieces bought, in `n_baskets` baskets. `tier` is the bundle's own
    label, which in a shop that had sent nothing goes by visits.
    """

    sent: int = 0
    answered: int = 0
    left: tuple[int, ...] = _NONE
    redeemed: int = 0
    return_share: float = 0.0
    n_baskets: int = 0
    sends: tuple[Sent, ...] = ()
    tier: Tier | None = None


NO_PAST = Past()


@dataclass(frozen=True, slots=True)
class Contacts:
    """One customer's messages, showings and answers; all sequences in order of time.

    `sends` are the messages of the 28 days before the bundle and since. Of what happened since the bundle, by offer:
    `shown` has the moments at which it was on a page, `dismissed` and `redeemed` the latest moment of either. The
    counts `n_sent`, `n_answered`, `n_redeemed` and `left` (by channel) are those of all time.
    """

    n_sent: int
    n_answered: int
    n_redeemed: int
    left: tuple[int, ...]
    sends: tuple[Sent, ...]
    shown: Mapping[str, Sequence[int]] = field(default_factory=dict)
    dismissed: Mapping[str, int] = field(default_factory=dict)
    redeemed: Mapping[str, int] = field(default_factory=dict)
    return_share: float = 0.0
    n_baskets: int = 0
    past_tier: Tier | None = None

    def n_sends(self, channel: Channel | None, after_us: int) -> int:
        """Return how many messages went out later than a moment, on a channel or (None) on all and unknown ones."""
        sends = self._sends_after(after_us)
        return len(sends) if channel is None else sum(each.channel is channel for each in sends)

    def n_sends_of(self, offer_id: str, after_us: int) -> int:
        """Return how many messages about an offer went out later than a moment, on any channel."""
        return sum(offer_id in each.offer_ids for each in self._sends_after(after_us))

    def n_showings_of(self, offer_id: str, after_us: int) -> int:
        """Return how often an offer was shown on pages later than a moment."""
        moments = self.shown.get(offer_id, ())
        return len(moments) - bisect_right(moments, after_us)

    def n_left(self, channel: Channel | None = None) -> int:
        """Return how often they left a channel, or (None) any."""
        return sum(self.left) if channel is None else self.left[CHANNELS.index(channel)]

    def _sends_after(self, after_us: int) -> tuple[Sent, ...]:
        return self.sends[bisect_right(self.sends, after_us, key=lambda sent: sent.at_us) :]


def contacts_of(past: Past, events: Iterable[Event]) -> Contacts:
    """Return what the bundle knows and the events since come to; `events` are those that the bundle does not hold.

    In any order. An answer marks the messages before it as answered: those on its channel, those about its offer, and
    those of its decision. What one decision sent on one channel is one message, about all the offers that are named.
    """
    fold = _Fold(past)
    for event in sorted(events, key=lambda each: (each.at_us, each.event_id)):
        fold.take(event)
    return fold.contacts()


def channel_named(name: str | None) -> Channel | None:
    """Return the channel that a source's word means, whatever its case; None for none and for one that is not ours."""
    return None if name is None else _CHANNELS.get(name.strip().lower())


class _Fold:
    """Takes events in order of time."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._sends: list[Sent] = list(past.sends)
        self._decided: dict[tuple[str, Channel | None], Sent] = {}
        self._answers: list[tuple[int, Channel | None, str | None, str | None]] = []
        self._n_sent, self._n_redeemed = past.sent, past.redeemed
        self._left = list(past.left)
        self._shown: dict[str, list[int]] = {}
        self._dismissed: dict[str, int] = {}
        self._redeemed: dict[str, int] = {}

    def take(self, event: Event) -> None:
        kind = event.type
        if kind is EventType.SEND:
            self._send(event)
        elif kind in ANSWERS:
            self._answers.append((event.at_us, channel_named(event.channel), event.offer_id, event.decision_id))
            if kind is EventType.REDEEM:
                self._n_redeemed += 1
                if event.offer_id is not None:
                    self._redeemed[event.offer_id] = event.at_us
        elif kind is EventType.IMPRESSION:
            self._show(event)
        elif kind is EventType.DISMISS and event.offer_id is not None:
            self._dismissed[event.offer_id] = event.at_us
        else:
            for name in refused_channels(event):
                self._left[CHANNELS.index(Channel(name))] += 1

    def contacts(self) -> Contacts:
        past = self._past
        sends = [self._settled(each, None) for each in self._sends]
        sends += [self._settled(each, decision_id) for (decision_id, _), each in self._decided.items()]
        sends.sort(key=lambda sent: sent.at_us)
        return Contacts(
            self._n_sent,
            past.answered + len(self._answers),
            self._n_redeemed,
            tuple(self._left),
            tuple(sends),
            self._shown,
            self._dismissed,
            self._redeemed,
            past.return_share,
            past.n_baskets,
            past.tier,
        )

    def _send(self, event: Event) -> None:
        offer_ids = () if event.offer_id is None else (event.offer_id,)
        sent = Sent(event.at_us, channel_named(event.channel), offer_ids)
        if event.decision_id is None:
            self._n_sent += 1
            self._sends.append(sent)
            return
        key = (event.decision_id, sent.channel)
        known = self._decided.get(key)
        self._n_sent += known is None
        self._decided[key] = sent if known is None else replace(known, offer_ids=(*known.offer_ids, *offer_ids))

    def _show(self, event: Event) -> None:
        """Count a showing of an offer; one on a message channel is that message's, which counts by itself."""
        channel = channel_named(event.channel)
        if event.offer_id is not None and not (channel is not None and channel.is_message):
            self._shown.setdefault(event.offer_id, []).append(event.at_us)

    def _settled(self, sent: Sent, decision_id: str | None) -> Sent:
        for at_us, channel, offer_id, answered in self._answers:
            is_named = offer_id in sent.offer_ids
            is_named = is_named or (answered is not None and answered == decision_id)
            if at_us >= sent.at_us and (is_named or (channel is not None and channel is sent.channel)):
                return replace(sent, is_answered=True)
        return sent
