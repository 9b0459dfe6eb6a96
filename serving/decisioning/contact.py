"""What was sent and shown to one customer, and what came of it: the bundle's account and the events since, each once.

Pure: a bundle's part enters as `Past` (serving/contact_desk.py reads it), events as those that the bundle does not hold
(serving/live_events.py). Windows are half-open: what was sent exactly one window ago has left it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from serving.channels import CHANNELS, Channel
from serving.state.consent import refused_channels
from serving.state.events import Event, EventType
from serving.tier import Tier

DAY_US = 86_400_000_000
ANSWERS = frozenset({EventType.OPEN, EventType.CLICK, EventType.REDEEM})
"""Events by which a message counts as answered."""

TOLD = ANSWERS | {
    EventType.SEND,
    EventType.IMPRESSION,
    EventType.DISMISS,
    EventType.UNSUBSCRIBE,
    EventType.NOTIFICATION_BLOCK,
}
"""Events that change what is known of a customer's contacts."""
_NEVER = -(1 << 63)
_at_us = attrgetter("at_us")
_order = attrgetter("at_us", "event_id")
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
        return self.sends[bisect_right(self.sends, after_us, key=_at_us) :]


def contacts_of(past: Past, events: Iterable[Event]) -> Contacts:
    """Return what the bundle knows and the events since come to; `events` are those that the bundle does not hold.

    In any order; linear in them. An answer marks the messages before it as answered: those on its channel, those about
    its offer, and those of its decision. What one decision sent on one channel is one message, about all the offers
    that are named.
    """
    fold = _Fold(past)
    told = [each for each in events if each.type in TOLD]
    told.sort(key=_order)
    for event in told:
        fold.take(event)
    return fold.contacts()


def channel_named(name: str | None) -> Channel | None:
    """Return the channel that a source's word means, whatever its case; None for none and for one that is not ours."""
    if name is None:
        return None
    return _CHANNELS.get(name) or _CHANNELS.get(name.strip().lower())


@dataclass(slots=True)
class _Message:
    """A message in the reading."""

    at_us: int
    channel: Channel | None
    decision_id: str | None
    offer_ids: list[str]


class _Fold:
    """Takes events in order of time."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._messages: list[_Message] = []
        self._decided: dict[tuple[str, Channel | None], _Message] = {}
        self._n_answered, self._n_redeemed = past.answered, past.redeemed
        self._left = list(past.left)
        # The latest answer on a channel, about an offer, and to a decision: later than what it answers.
        self._answered_on: dict[Channel, int] = {}
        self._answered_about: dict[str, int] = {}
        self._answered_to: dict[str, int] = {}
        self._shown: dict[str, list[int]] = {}
        self._dismissed: dict[str, int] = {}
        self._redeemed: dict[str, int] = {}

    def take(self, event: Event) -> None:
        kind = event.type
        if kind is EventType.SEND:
            self._send(event)
        elif kind in ANSWERS:
            self._answer(event)
        elif kind is EventType.IMPRESSION:
            self._show(event)
        elif kind is EventType.DISMISS:
            if event.offer_id is not None:
                self._dismissed[event.offer_id] = event.at_us
        else:
            for name in refused_channels(event):
                self._left[CHANNELS.index(Channel(name))] += 1

    def contacts(self) -> Contacts:
        past = self._past
        is_news = self._n_answered > past.answered
        sends = [self._settled(each) if is_news and not each.is_answered else each for each in past.sends]
        sends += [
            Sent(each.at_us, each.channel, tuple(each.offer_ids), self._is_answered(each)) for each in self._messages
        ]
        sends.sort(key=_at_us)
        return Contacts(
            past.sent + len(self._messages),
            self._n_answered,
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
        channel = channel_named(event.channel)
        offer_ids = [] if event.offer_id is None else [event.offer_id]
        message = _Message(event.at_us, channel, event.decision_id, offer_ids)
        if event.decision_id is not None:
            known = self._decided.setdefault((event.decision_id, channel), message)
            if known is not message:
                known.offer_ids += offer_ids
                return
        self._messages.append(message)

    def _answer(self, event: Event) -> None:
        self._n_answered += 1
        channel = channel_named(event.channel)
        if channel is not None:
            self._answered_on[channel] = event.at_us
        if event.offer_id is not None:
            self._answered_about[event.offer_id] = event.at_us
        if event.decision_id is not None:
            self._answered_to[event.decision_id] = event.at_us
        if event.type is EventType.REDEEM:
            self._n_redeemed += 1
            if event.offer_id is not None:
                self._redeemed[event.offer_id] = event.at_us

    def _show(self, event: Event) -> None:
        """Count a showing of an offer; one on a message channel is that message's, which counts by itself."""
        if event.offer_id is None:
            return
        channel = channel_named(event.channel)
        if channel is None or not channel.is_message:
            self._shown.setdefault(event.offer_id, []).append(event.at_us)

    def _settled(self, sent: Sent) -> Sent:
        """Return a message of the bundle with what is known of its answer now."""
        is_answered = self._is_answered(_Message(sent.at_us, sent.channel, None, [*sent.offer_ids]))
        return Sent(sent.at_us, sent.channel, sent.offer_ids, is_answered)

    def _is_answered(self, message: _Message) -> bool:
        latest = [self._answered_about[each] for each in message.offer_ids if each in self._answered_about]
        if message.channel is not None:
            latest.append(self._answered_on.get(message.channel, _NEVER))
        if message.decision_id is not None:
            latest.append(self._answered_to.get(message.decision_id, _NEVER))
        return any(us >= message.at_us for us in latest)
