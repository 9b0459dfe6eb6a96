"""The ways of an action: the channels on which a customer may be reached, the one that they answer first, and when."""

from __future__ import annotations

from datetime import timedelta

from serving.action_case import Case
from serving.api_action_codes import ActionCode
from serving.channels import CHANNELS, MESSAGE_CHANNELS, Channel
from serving.contact_desk import NextContact
from serving.decisioning.triggers import Found
from serving.decisioning.way import Reach, Way, Wish, send_at
from serving.desk import Desk
from serving.shelf import ints
from serving.state.events import EventType

_MICROSECOND = timedelta(microseconds=1)
_PLACES = frozenset({Channel.STORE, Channel.WEB, Channel.APP})
_ON_THE_SPOT = frozenset({ActionCode.LOOKED_AT, ActionCode.SCANNED})
# Before anything was sent on a channel one message in ten is taken to be answered, as if that had been seen ten times.
_BEFORE_SENT, _BEFORE_ANSWERED = 10.0, 1.0


class Ways:
    """Finds ways by one open bundle."""

    def __init__(self, desk: Desk) -> None:
        bundle = desk.bundle
        self._contacts = desk.contacts
        self._policy = bundle.policy.actions
        self._hour, self._channel = ints(bundle.customers.hour), ints(bundle.customers.channel)
        self._labels = list(bundle.channels)
        self._sent, self._answered = ints(bundle.contacts.sent), ints(bundle.contacts.answered)

    def of(self, case: Case, found: Found) -> list[Way | ActionCode]:
        """Return the ways of saying what was found, the best first, each with its moment or why it can't be taken.

        With a channel asked for, that one only; what they are looking at right now is said on the spot.
        """
        asked, reach = case.request.channel, self._reach(case)
        if asked is not None and not reach.allows(asked):
            return [ActionCode.NO_CHANNEL]
        if asked is not None and asked.is_message and found.code is ActionCode.LOOKED_AT:
            return [ActionCode.PLACES_ONLY]
        if asked is not None:
            channels = [asked]
        elif found.code in _ON_THE_SPOT:
            channels = [reach.place]
        else:
            channels = list(reach.ranked())
        wish = self._wish(case, found)
        return [self._way(case, channel, wish) for channel in channels]

    def contact(self, case: Case, way: Way) -> NextContact:
        """Return what one more message or showing on a way means."""
        row = case.shopper.row
        return self._contacts.next_contact(case.contacts, way.channel, way.send_at, case.clock, row=row)

    def _way(self, case: Case, channel: Channel, wish: Wish) -> Way | ActionCode:
        moment = send_at(wish, channel, self._contacts.quiet)
        if isinstance(moment, ActionCode):
            return moment
        # What was sent today counts in full, also for a message that waits for tomorrow.
        now = self._contacts.fatigue.cap_reached(case.contacts, channel, case.situation.at_us)
        way = Way(channel, moment)
        return ActionCode.CAP_REACHED if now or self.contact(case, way).is_capped else way

    def _wish(self, case: Case, found: Found) -> Wish:
        later_us = max(found.not_before_us - case.situation.at_us, 0)
        row = case.shopper.row
        hour = self._hour[row] if row >= 0 else -1
        return Wish(
            case.at + later_us * _MICROSECOND,
            found.until,
            found.timing,
            case.clock,
            hour if hour >= 0 else None,
            self._policy.max_wait_hours,
        )

    def _reach(self, case: Case) -> Reach:
        row = case.shopper.row
        best = self._best_channel(row)
        return Reach(
            case.situation.consents,
            {} if row < 0 else {each: self._answer_share(row, each) for each in MESSAGE_CHANNELS},
            best,
            self._place(case, best),
            may_send=case.situation.known.may_promise and not case.situation.known.live.is_gone,
        )

    def _answer_share(self, row: int, channel: Channel) -> float:
        place = row * len(CHANNELS) + CHANNELS.index(channel)
        return (self._answered[place] + _BEFORE_ANSWERED) / (self._sent[place] + _BEFORE_SENT)

    def _best_channel(self, row: int) -> Channel | None:
        """Return where the bundle says that the customer answers, or shops, most."""
        label = self._labels[self._channel[row]] if row >= 0 and self._channel[row] >= 0 else None
        return next((each for each in CHANNELS if each == label), None)

    def _place(self, case: Case, best: Channel | None) -> Channel:
        """Return the place where they were seen last, else where they shop most, else the web."""
        for event in reversed(case.situation.known.live.events):
            if event.channel in _PLACES and event.type is not EventType.IMPRESSION:
                return Channel(event.channel)
        return best if best is not None and best in _PLACES else Channel.WEB
