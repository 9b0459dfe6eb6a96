"""One call for an action, as everything that decides about it sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from serving.api_actions import ActionsRequest
from serving.decisioning.contact import Contacts
from serving.decisioning.triggers import Situation
from serving.taste import Shopper


@dataclass(frozen=True, slots=True)
class Case:
    """Who asks for what, when, and what is known; `clock` is the zone of the clock on the customer's wall."""

    request: ActionsRequest
    decision_id: str
    situation: Situation
    contacts: Contacts
    clock: tzinfo

    @property
    def shopper(self) -> Shopper:
        """Who it is for."""
        return self.situation.shopper

    @property
    def at(self) -> datetime:
        """The moment of the call."""
        return self.situation.at
