"""Where a customer can be reached: places that they visit, and channels on which messages are sent to them."""

from __future__ import annotations

from enum import StrEnum


class Channel(StrEnum):
    """The channels of decisions, in the order of the bundle's columns by channel."""

    STORE = "store"
    WEB = "web"
    APP = "app"
    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"

    @property
    def is_message(self) -> bool:
        """Whether something is sent there, which needs the customer's consent to this very channel."""
        return self in MESSAGE_CHANNELS


MESSAGE_CHANNELS = (Channel.EMAIL, Channel.SMS, Channel.PUSH)
CHANNELS = tuple(Channel)
