from __future__ import annotations

import pytest

from serving.state.consent import CONSENT_KEYS, MESSAGE_CHANNELS, Said, refused_channels, with_event, with_whole
from tests.serving.state.builders import HOUR, MONDAY, event


@pytest.mark.parametrize(
    ("channel", "value", "refused"),
    [
        ("email", None, ("email",)),
        ("sms", "email", ("sms",)),
        ("web", "push", ("push",)),
        ("web", None, MESSAGE_CHANNELS),
        (None, None, MESSAGE_CHANNELS),
        (None, "too many", MESSAGE_CHANNELS),
    ],
)
def test_an_unsubscribe_refuses_what_it_names_else_every_message(
    channel: str | None, value: str | None, refused: tuple[str, ...]
) -> None:
    assert refused_channels(event("1", None, type="unsubscribe", channel=channel, value=value)) == refused


def test_a_notification_block_refuses_push() -> None:
    assert refused_channels(event("1", None, type="notification_block", channel="app")) == ("push",)


@pytest.mark.parametrize("type", ["purchase", "view", "dismiss", "send", "click"])
def test_other_events_leave_consent_alone(type: str) -> None:
    consent = {"email": Said(True, 1)}
    assert with_event(consent, event("1", type=type, channel="email")) is consent


def test_what_was_said_later_stands_although_the_refusal_arrives_after_it() -> None:
    consent = {"email": Said(True, MONDAY)}
    earlier = event("1", None, type="unsubscribe", channel="email", at=MONDAY - 1, accepted_us=MONDAY + HOUR)
    assert with_event(consent, earlier) == consent
    assert with_event(consent, event("2", None, type="unsubscribe", channel="email"))["email"] == Said(False, MONDAY)


def test_a_refusal_from_the_future_does_not_outlive_what_is_said_meanwhile() -> None:
    ahead = event("1", None, type="unsubscribe", channel="email", at=MONDAY + 20 * HOUR, accepted_us=MONDAY)
    assert with_event({}, ahead)["email"] == Said(False, MONDAY)
    assert with_whole(with_event({}, ahead), {"email": True}, MONDAY + HOUR)["email"].is_given


def test_a_whole_consent_refuses_what_it_leaves_out() -> None:
    consent = with_whole({"push": Said(True, 1)}, {"personalize": True}, 5)
    assert {key for key, said in consent.items() if said.is_given} == {"personalize"}
    assert set(consent) == set(CONSENT_KEYS)


def test_a_whole_consent_holds_also_when_the_clock_of_a_worker_is_behind() -> None:
    assert with_whole({"push": Said(False, 9)}, {"push": True}, 5)["push"] == Said(True, 9)
