"""What the server counts, for Prometheus: cheap enough for every request, and summed over the workers of one server."""

from __future__ import annotations

from collections import Counter as Counts
from collections import deque
from functools import cache, partial
from http import HTTPStatus

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

from serving.http_timings import Timings

_OUTCOMES = ("accepted", "duplicate", "rejected")
_LAG_BUCKETS = (1.0, 5.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0, 43_200.0, 86_400.0, 604_800.0)
_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)

_REQUEST_HELP = "Seconds from a request's headers to its answer's last byte."
_DECISIONS_HELP = "Decisions by whom they were for: personal, common (no consent, holdout), or a cold start."
_ITEMS_HELP = "Items, offers and actions that were decided for, by role and reason."
_WITHHELD_HELP = "Offers that were withheld, and answers that fell short, by code."
_UNKEPT_HELP = "Decisions that were made without the state, because it is away."
_EVENTS_HELP = "Events told: accepted now, accepted before, rejected."
_LAG_HELP = "Seconds from when an event happened to when it was told, of those that were taken."
_STATE_HELP = "Seconds that a read or a write of the state took."
_FAILURES_HELP = "Reads and writes of the state that failed because it is away, or took too long."
_REFUSED_HELP = "1 while the champion could not be taken up and what a worker serves is another, or nothing."
_LOADED_HELP = "When a worker last took up a bundle, epoch seconds."
_AS_OF_HELP = "The moment up to which the bundle that serves has learned, epoch seconds."
_NOW_HELP = "What the server takes for now, epoch seconds; its distance from the bundle's as-of is the bundle's age."
_VERSION_HELP = "1 for the bundle that a worker serves, 0 for those that it served before."
_SHARES_HELP = "The share of expected customers in each tenth of a score, by the bundle that serves."
_ASKING_HELP = "Customers who ask (one decision in four), by the tenth of their score among the expected ones."


class Metrics:
    """The server's counters.

    With `folder`, what all its workers wrote there is summed (prometheus_client's multi-process mode, which takes the
    folder from `PROMETHEUS_MULTIPROC_DIR`, set by BentoML from its own home); without, it is this process alone.
    """

    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self._registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=self._registry), partial(Gauge, registry=self._registry)
        seconds = partial(Histogram, registry=self._registry)
        self._requests = counter("tercet_requests_total", "Requests answered.", ["path", "status"])
        self._seconds = seconds("tercet_request_seconds", _REQUEST_HELP, ["path"], buckets=_BUCKETS)
        self._decisions = counter("tercet_decisions_total", _DECISIONS_HELP, ["path", "whose"])
        self._items = counter("tercet_items_total", _ITEMS_HELP, ["path", "role", "reason"])
        self._withheld = counter("tercet_withheld_total", _WITHHELD_HELP, ["path", "code"])
        self._unkept = counter("tercet_decisions_without_state_total", _UNKEPT_HELP)
        self._events = counter("tercet_events_total", _EVENTS_HELP, ["outcome"])
        lag = seconds("tercet_event_lag_seconds", _LAG_HELP, buckets=_LAG_BUCKETS)
        self._state_seconds = seconds("tercet_state_seconds", _STATE_HELP, ["kind"], buckets=_BUCKETS)
        self._state_failures = counter("tercet_state_failures_total", _FAILURES_HELP, ["kind"])
        self._swaps = counter("tercet_bundle_loads_total", "Bundles taken up or refused, each worker.", ["outcome"])
        self._refused = gauge("tercet_champion_refused", _REFUSED_HELP, multiprocess_mode="livemax")
        self._begin_at_zero()
        latest = partial(gauge, multiprocess_mode="mostrecent")
        self._as_of = latest("tercet_bundle_loaded_timestamp_seconds", _LOADED_HELP)
        self._data_until = latest("tercet_bundle_as_of_timestamp_seconds", _AS_OF_HELP)
        self._now = latest("tercet_clock_timestamp_seconds", _NOW_HELP)
        self._version = gauge("tercet_bundle_info", _VERSION_HELP, ["version"], multiprocess_mode="livemax")
        self._shares = latest("tercet_expected_share", _SHARES_HELP, ["score", "tenth"])
        self._scores = counter("tercet_asking_customers_total", _ASKING_HELP, ["score", "tenth"])
        # What every request counts is counted beside the metrics, and carried over once a second.
        self._answered: Counts[tuple[str, int]] = Counts()
        self._told: deque[tuple[int, int, int]] = deque()  # threads count events
        self._event_lag = Timings(lag, _LAG_BUCKETS)
        self._timings = [self._event_lag]
        self._seconds_of = cache(partial(self._timed, self._seconds))
        self._state_seconds_of = cache(partial(self._timed, self._state_seconds))

    def count(self, path: str, status: int | HTTPStatus, seconds: float) -> None:
        """Count one answer of a known path (any other path under one name: they are the client's to invent)."""
        self._answered[path, status] += 1
        self._seconds_of(path).observe(seconds)

    def flush(self) -> None:
        """Carry over what was counted beside the metrics; for one thread at a time, the one that calls `count`."""
        for (path, status), n in self._answered.items():
            self._requests.labels(path, str(int(status))).inc(n)
        self._answered.clear()
        told = [self._told.popleft() for _ in range(len(self._told))]
        for place, outcome in enumerate(_OUTCOMES if told else ()):
            self._events.labels(outcome).inc(sum(counts[place] for counts in told))
        for each in self._timings:
            each.flush()

    def count_load(self, *, taken_up: bool, at: float) -> None:
        """Count a bundle that serves now (at epoch seconds) or was refused."""
        self._swaps.labels("taken_up" if taken_up else "refused").inc()
        if taken_up:
            self._as_of.set(at)

    def tell_refused(self, *, is_refused: bool) -> None:
        """Say whether the champion could not be taken up."""
        self._refused.set(is_refused)

    def tell_bundle(self, version: str, as_of: float, *, before: str | None = None) -> None:
        """Say which bundle serves and up to when it has learned (epoch seconds), and which served before."""
        self._data_until.set(as_of)
        if before is not None:
            self._version.labels(before).set(0)
        self._version.labels(version).set(1)

    def tell_now(self, now: float) -> None:
        """Say what the server takes for now, epoch seconds."""
        self._now.set(now)

    def count_decisions(self, path: str, whose: str, n: int) -> None:
        """Count decisions by whom they were for."""
        self._decisions.labels(path, whose).inc(n)

    def count_items(self, path: str, role: str, reason: str, n: int) -> None:
        """Count what was decided for, by role and reason."""
        self._items.labels(path, role, reason).inc(n)

    def count_withheld(self, path: str, code: str, n: int) -> None:
        """Count what was withheld, and answers that fell short, by code."""
        self._withheld.labels(path, code).inc(n)

    def tell_share(self, score: str, tenth: int, share: float) -> None:
        """Say what share of the expected customers is in a tenth of a score."""
        self._shares.labels(score, str(tenth)).set(share)

    def count_score(self, score: str, tenth: int, n: int) -> None:
        """Count customers who ask by the tenth of a score."""
        self._scores.labels(score, str(tenth)).inc(n)

    def observe_lag(self, seconds: float) -> None:
        """Count one event that was taken by how long ago it happened."""
        self._event_lag.observe(max(seconds, 0.0))

    def count_events(self, *, accepted: int, duplicates: int, rejected: int) -> None:
        """Count what became of the events of a call."""
        self._told.append((accepted, duplicates, rejected))

    def observe_state(self, kind: str, seconds: float) -> None:
        """Count a `read` or a `write` of the state."""
        self._state_seconds_of(kind).observe(seconds)

    def count_state_failure(self, kind: str) -> None:
        """Count a `read` or a `write` that failed, or one that took too long (`slow`)."""
        self._state_failures.labels(kind).inc()

    def count_without_state(self) -> None:
        """Count a decision that was made without the state."""
        self._unkept.inc()

    def text(self) -> bytes:
        """Return all counters in Prometheus' text format; reads the files of all workers."""
        self.flush()
        if self._folder is None:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, path=self._folder)  # type: ignore[no-untyped-call]  # no annotations
        return generate_latest(registry)

    def _begin_at_zero(self) -> None:
        # Prometheus sees no rise in a series that begins with it, nor that nothing comes in where there is none.
        for counter, labels in (
            (self._swaps, ("taken_up", "refused")),
            (self._events, _OUTCOMES),
            (self._state_failures, ("read", "write", "slow", "damaged")),
        ):
            for label in labels:
                counter.labels(label)

    def _timed(self, histogram: Histogram, label: str) -> Timings:
        timings = Timings(histogram.labels(label), _BUCKETS)
        self._timings.append(timings)
        return timings

    content_type = CONTENT_TYPE_LATEST.encode()
