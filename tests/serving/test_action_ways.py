"""Ways of an action: the channel that the bundle says they answer, and the place where they were last seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.api_offer_codes import Trigger
from serving.bundle import Bundle
from serving.channels import CHANNELS, Channel
from serving.engine import Engine
from tests.serving.acting import acting, ask
from tests.serving.happenings import event
from tests.serving.test_action_desk import SAY_LESS

GENEROUS = {**SAY_LESS, "actions__reminder_uplift": 1.0, "consent__sms": True, "consent__push": True}


def answering(bundle: Bundle, **answered: int) -> Engine:
    """Return the engine of a shop in which everybody has answered so many of 20 messages on each channel."""
    shape = bundle.contacts.sent.shape
    sent, counts = np.full(shape, 20, dtype="<i4"), np.zeros(shape, dtype="<i4")
    for channel, n in answered.items():
        counts[:, CHANNELS.index(Channel(channel))] = n
    contacts = replace(bundle.contacts, sent=sent, answered=counts)
    return acting(replace(bundle, contacts=contacts), **GENEROUS)


@pytest.mark.parametrize("best", ["email", "sms", "push"])
def test_a_message_goes_where_they_answer_most(tiny_bundle: Bundle, best: str) -> None:
    assert ask(answering(tiny_bundle, **{best: 10}), Trigger.REPLENISH)["channel"] == best


def test_where_that_is_not_allowed_it_goes_to_the_next(tiny_bundle: Bundle) -> None:
    engine = answering(tiny_bundle, sms=10, push=5)
    assert ask(engine, Trigger.REPLENISH, live={"consent": {"sms": False}})["channel"] == Channel.PUSH


def test_the_best_channel_of_the_bundle_goes_before_all(tiny_bundle: Bundle) -> None:
    labelled = replace(tiny_bundle.customers, channel=np.zeros_like(tiny_bundle.customers.channel))  # email
    engine = answering(replace(tiny_bundle, customers=labelled), push=10)
    assert ask(engine, Trigger.REPLENISH)["channel"] == Channel.EMAIL


def test_a_place_is_where_they_were_seen_last(tiny_bundle: Bundle) -> None:
    engine = acting(tiny_bundle, consent__email=False)
    seen = [event("view", "brie-1", 1, channel="app"), event("view", "brie-1", 2, channel="store")]
    assert ask(engine, Trigger.REPLENISH)["channel"] == Channel.WEB
    assert ask(engine, Trigger.REPLENISH, seen[0])["channel"] == Channel.APP
    assert ask(engine, Trigger.REPLENISH, *seen)["channel"] == Channel.STORE
    shown = event("impression", "brie-1", 3, channel="app")  # what the shop showed says nothing of where they go
    assert ask(engine, Trigger.REPLENISH, *seen, shown)["channel"] == Channel.STORE


def test_without_a_known_hour_a_message_goes_out_at_once(tiny_bundle: Bundle) -> None:
    unknown = replace(tiny_bundle.customers, hour=np.full_like(tiny_bundle.customers.hour, -1))
    answer = ask(answering(replace(tiny_bundle, customers=unknown), email=10), Trigger.REPLENISH)
    assert answer["send_at"] == "2018-01-01T17:00:00Z"
