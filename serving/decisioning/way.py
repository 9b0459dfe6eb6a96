"""On which channel an action goes out, and when: where the customer answers, what they allow, and their hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from serving.api_action_codes import ActionCode
from serving.channels import MESSAGE_CHANNELS, Channel
from serving.decisioning.quiet import QuietHours
from serving.decisioning.triggers import Timing

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Way:
    """A channel, and the moment at which the action goes out there, or may be shown from."""

    channel: Channel
    send_at: datetime


@dataclass(frozen=True, slots=True)
class Wish:
    """What an action asks of its way: not before `earliest`, of no use after `until`; `timing` says how soon."""

    earliest: datetime
    until: datetime | None
    timing: Timing
    zone: tzinfo
    best_hour: int | None
    max_wait_hours: float


@dataclass(frozen=True, slots=True)
class Reach:
    """Which channels a customer can be reached on: what they allow, and where they answer.

    `answers` is the share of messages that they answer, by message channel; `best` is where they answer or shop most;
    `place` where to show what may not be sent. Without `may_send` no message is.
    """

    consents: Mapping[str, bool]
    answers: Mapping[Channel, float]
    best: Channel | None
    place: Channel
    may_send: bool = True

    def allows(self, channel: Channel) -> bool:
        """Return whether the customer may be contacted there: a place needs no consent of its own."""
        return not channel.is_message or (self.may_send and self.consents[channel])

    def ranked(self) -> Sequence[Channel]:
        """Return the channels that may be used, the one that they answer first; the place comes last."""
        messages = sorted(
            (each for each in MESSAGE_CHANNELS if self.allows(each)),
            key=lambda each: (each is not self.best, -self.answers.get(each, 0.0)),
        )
        return [*messages, self.place]


def send_at(wish: Wish, channel: Channel, quiet: QuietHours) -> datetime | ActionCode:
    """Return when an action goes out on a channel, or the code that says why it can't.

    On a page it is shown from the earliest moment on. A message about what is happening now goes out now or never; one
    that can wait goes out after quiet hours; one that is not urgent at their hour, where that comes soon enough.
    """
    if not channel.is_message:
        return wish.earliest
    if wish.timing is Timing.NOW:
        is_quiet = quiet.is_quiet(channel, wish.earliest, wish.zone)
        return ActionCode.QUIET_HOURS if is_quiet else wish.earliest
    allowed = quiet.next_allowed(channel, wish.earliest, wish.zone)
    if wish.timing is Timing.THEIR_HOUR:
        allowed = _at_their_hour(wish, channel, quiet) or allowed
    return ActionCode.QUIET_HOURS if wish.until is not None and allowed >= wish.until else allowed


def _at_their_hour(wish: Wish, channel: Channel, quiet: QuietHours) -> datetime | None:
    """Return the next moment within their best hour at which something may be sent; None where that is too far off."""
    if wish.best_hour is None:
        return None
    latest = wish.earliest + timedelta(hours=wish.max_wait_hours)
    moment = wish.earliest
    while moment <= latest:
        if moment.astimezone(wish.zone).hour == wish.best_hour and not quiet.is_quiet(channel, moment, wish.zone):
            is_before_end = wish.until is None or moment < wish.until
            return moment if is_before_end else None
        moment = _next_hour(moment, wish.zone)
    return None


def _next_hour(moment: datetime, zone: tzinfo) -> datetime:
    """Return the next moment at which the clock on the wall strikes."""
    local = moment.astimezone(zone)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return moment - past + _HOUR
