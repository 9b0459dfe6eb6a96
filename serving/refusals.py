"""Who has said no, as far as this process has seen: so that a no holds while the state is away."""

from __future__ import annotations

from serving.state.known import Known, Live, Trace

MAX_REMEMBERED = 100_000


class Refusals:
    """Remembers customers who refuse to be personal or were forgotten, the latest seen; nothing of it is written."""

    def __init__(self, limit: int = MAX_REMEMBERED) -> None:
        self._limit = limit
        self._ids: dict[str, None] = {}

    def see(self, customer_id: str, live: Live) -> None:
        """Take in what the state says of a customer now."""
        is_refused = live.is_gone or (live.consent or {}).get("personalize") is False
        self._ids.pop(customer_id, None)
        if is_refused:
            self._ids[customer_id] = None
            if len(self._ids) > self._limit:
                del self._ids[next(iter(self._ids))]

    def known(self, customer_id: str | None, trace: Trace | None = None) -> Known:
        """Return what may be decided by while the state can't be asked: nothing, but for a no."""
        if customer_id is None or customer_id not in self._ids:
            return Known(trace=trace)
        return Known(Live(customer_id, consent={"personalize": False}), trace=trace)
