"""What was asked for: bounds on the medians of a run, by the names that the run gives its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from tests.benchmarks.results import Results


@dataclass(frozen=True)
class Goal:
    """A bound on a median; exactly one of `at_least` and `at_most` is given."""

    name: str
    says: str
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, number: float) -> bool:
        """Say whether a number is within the bound."""
        if self.at_least is not None:
            return number >= self.at_least
        return self.at_most is not None and number <= self.at_most

    @property
    def bound(self) -> str:
        """The bound, to read."""
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


def _hot(call: str) -> tuple[Goal, ...]:
    return (
        Goal(f"{call} ÷ starlette", f"/v1/{call}: rate ÷ that of Starlette's ready answer", at_least=0.25),
        Goal(f"{call} ÷ mount", f"/v1/{call}: rate ÷ that of a ready answer through our own mount", at_least=0.6),
        Goal(f"{call} ÷ fastapi", f"/v1/{call}: rate ÷ that of the FastAPI peer", at_least=4),
        Goal(f"{call} ÷ bento_api", f"/v1/{call}: rate ÷ that of `@bentoml.api`", at_least=3),
    )


GOALS = (
    *_hot("challenge"),
    *_hot("recommendations"),
    Goal("engine challenge p50", "engine alone, challenge: p50, µs", at_most=80),
    Goal("engine challenge p99", "engine alone, challenge: p99, µs", at_most=400),
    Goal("engine recommendations p50", "engine alone, recommendations: p50, µs", at_most=80),
    Goal("engine recommendations p99", "engine alone, recommendations: p99, µs", at_most=400),
    Goal("two workers ÷ one", "rate of two workers ÷ one (where cores allow)", at_least=1.6),
    Goal("challenge p99 ÷ p50", "/v1/challenge: p99 ÷ p50 at 8 connections", at_most=5),
    Goal("recommendations p99 ÷ p50", "/v1/recommendations: p99 ÷ p50 at 8 connections", at_most=5),
    Goal("pauses", "answers that took over 50 ms, a minute at half load", at_most=0),
    Goal("events rate", "/v1/events of one event, durable, 16 clients: a second", at_least=2000),
    Goal("scores ms", "/v1/scores of 1,000 customers with 10 categories: p50, ms", at_most=30),
    Goal("engine scores ms", "the same by the engine alone, ms", at_most=30),
)


def scale_goals(smallest: int, largest: int) -> tuple[Goal, ...]:
    """Return what is asked of the largest of some bundles, by the names of `make bench-big`."""
    latencies = (
        Goal(
            f"{largest}: {call}, {when} ÷ {smallest}",
            f"engine, {call}: p50 ÷ that with {smallest:,} customers, {says}",
            at_most=1.2,
        )
        for call in ("challenge", "recommendations")
        for when, says in (("first", "customers not asked for before"), ("again", "the same again"))
    )
    return (
        Goal(f"{largest}: load s", "opened once its hashes were checked, s", at_most=2),
        Goal("worker private MB", "a worker's own memory after a load, MB", at_most=300 * 1.048576),
        Goal(f"{largest}: bytes a customer", "bytes a customer", at_most=1500),
        *latencies,
    )


@dataclass(frozen=True)
class Standing:
    """A goal, and what a run has of it."""

    goal: Goal
    number: float

    @property
    def is_met(self) -> bool:
        """Whether the number is within the bound."""
        return self.goal.holds(self.number)


def standings(results: Results, goals: tuple[Goal, ...] = GOALS) -> list[Standing]:
    """Return where a run stands on each goal that it measured."""
    found = [(goal, results.number(goal.name)) for goal in goals]
    return [Standing(goal, number) for goal, number in found if number is not None]
