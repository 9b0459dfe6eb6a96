"""What customers have said over the API about what they allow, by key, with the moment at which they said it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from serving.state.events import Event, EventType

MESSAGE_CHANNELS = ("email", "sms", "push")
CONSENT_KEYS = ("personalize", *MESSAGE_CHANNELS, "location")


@dataclass(frozen=True, slots=True)
class Said:
    """A yes or no, and when it was said."""

    is_given: bool
    at_us: int


def with_whole(consent: Mapping[str, Said], given: Mapping[str, bool], now_us: int) -> dict[str, Said]:
    """Return the consent after a whole consent object: what it doesn't name is refused.

    >>> with_whole({}, {"personalize": True}, 5)["email"]
    Said(is_given=False, at_us=5)
    """
    keys = dict.fromkeys((*CONSENT_KEYS, *given))
    latest_us = max((now_us, *(said.at_us for said in consent.values())))
    return {key: Said(given.get(key, False), latest_us) for key in keys}


def with_event(consent: Mapping[str, Said], event: Event) -> Mapping[str, Said]:
    """Return the consent after an event: `unsubscribe` and `notification_block` refuse, all others leave it alone.

    What was said later stands, even when the event arrives after it. An event from the future speaks as of its
    acceptance.
    """
    at_us = min(event.at_us, event.accepted_us)
    refused = {
        channel: Said(False, at_us)
        for channel in refused_channels(event)
        if channel not in consent or consent[channel].at_us <= at_us
    }
    return {**consent, **refused} if refused else consent


def refused_channels(event: Event) -> tuple[str, ...]:
    """Return the message channels that an event refuses.

    An `unsubscribe` refuses the message channel that its `channel` names, else the one that its `value` names, else
    (it came by the web, and says no more) every one; a `notification_block` refuses push.
    """
    if event.type is EventType.NOTIFICATION_BLOCK:
        return ("push",)
    if event.type is not EventType.UNSUBSCRIBE:
        return ()
    named = [name for name in (event.channel, event.value) if name in MESSAGE_CHANNELS]
    return (named[0],) if named and named[0] is not None else MESSAGE_CHANNELS


def refused_first(ours: Mapping[str, Said], theirs: Mapping[str, Said]) -> dict[str, Said]:
    """Return the consent of two customers who turn out to be one: a refusal wins, else the latest word.

    >>> refused_first({"email": Said(True, 9)}, {"email": Said(False, 3)})
    {'email': Said(is_given=False, at_us=3)}
    """
    both = dict(theirs)
    for key, said in ours.items():
        other = both.get(key, said)
        both[key] = min((said, other), key=lambda each: (each.is_given, -each.at_us))
    return both
