"""One campaign as an experiment: assigned by hash, decided by the real engine, measured by the real lift code.

Two worlds go side by side with the same draws: one in which everybody is decided for as if treated, one in which nobody
gets a message. What is observed of a customer is the world of their arm; the mean difference is the campaign's truth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from features import columns as c
from serving.arms import ExperimentEngine
from serving.engine import Engine
from serving.experiments import HOLDOUT, Experiments, Holdout, LiftPolicy
from serving.state.decisions import DecisionHead
from serving.state.events import EventType
from training.intervals import Interval
from training.lift_doings import Doings
from training.lift_estimates import Estimate, always_valid
from training.lift_exposures import Exposures, Question, exposures_of, question_of
from training.lift_measure import ArmLift, Look, check_enough, check_sample_ratio, measure
from training.lift_outcomes import VALUE, Outcomes, outcomes_of
from training.simulation.arrays import Bools, Ints
from training.simulation.book import Book
from training.simulation.choosing import EngineChooser, Moment
from training.simulation.logbook import Log, Logbook
from training.simulation.offers import Offers
from training.simulation.past import Past, order_ids
from training.simulation.population import draws_of
from training.simulation.truth import Truth

WEEK_DAYS = 7
CALL = "offers"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Stage:
    """What campaigns are run on: the shop's past, the engine, and the offers that run now.

    `as_treated` is an engine of the same bundle that holds nobody out: it says what a held-out customer does not get.
    """

    past: Past
    engine: ExperimentEngine
    as_treated: Engine
    offers: Offers


@dataclass(frozen=True)
class Campaign:
    """One campaign: whose customers, what is true, and how it is measured.

    Customers are first decided for on one of `spread_days` days, then weekly, `n_calls` times in all. `share` of them
    is held out; `name` draws who that is.
    """

    name: str
    seed: int
    truth: Truth
    n_customers: int
    share: float
    spread_days: int
    n_calls: int
    lift: LiftPolicy


@dataclass(frozen=True)
class Outcome:
    """What a campaign showed of `value`, beside the truth of the customers that were in it.

    `plain`, `cuped` and `always` are the intervals of the estimate at the end; `looks` the always-valid ones of each
    day before, `hasty_looks` those for one look, had one looked on that day. `n_sent` counts messages to those who were
    treated.
    """

    name: str
    truth: float
    plain: Interval
    cuped: Interval
    always: Interval
    looks: tuple[Interval, ...]
    hasty_looks: tuple[Interval, ...]
    n: int
    n_sent: int
    n_redeemed: int
    sample_ratio: float

    @property
    def is_covered(self) -> bool:
        """Whether the interval for one look, with CUPED, holds the truth."""
        return self.cuped.low <= self.truth <= self.cuped.high

    @property
    def is_called_a_win(self) -> bool:
        """Whether anybody who looked every day would ever have called it a win."""
        return any(look.low > 0.0 for look in (*self.looks, self.always))

    @property
    def would_be_called_a_win(self) -> bool:
        """Whether somebody would have called it a win by the interval for one look, looking every day all the same."""
        return any(look.low > 0.0 for look in (*self.hasty_looks, self.cuped))


def run_campaign(stage: Stage, campaign: Campaign) -> Outcome:
    """Return how a campaign came out.

    LiftRefused when a check of the lift code says that nothing may be said of it.
    """
    experiments = Experiments(Holdout(campaign.share, campaign.name), campaign.lift)
    stage.engine.obey(experiments)
    run = _Run(stage, campaign)
    treated, untouched = run.live()
    question = question_of(experiments, HOLDOUT)
    exposures = exposures_of(question, lambda: run.heads)
    sample_ratio = check_sample_ratio(exposures, campaign.lift)
    return _measured(run, (treated, untouched), question, exposures, sample_ratio)


class _Run:
    """The days of a campaign."""

    def __init__(self, stage: Stage, campaign: Campaign) -> None:
        self.stage, self.campaign = stage, campaign
        rng = np.random.default_rng([campaign.seed, 7])
        reachable = np.flatnonzero(stage.past.world.is_reached)
        self.past = stage.past.of(np.sort(rng.permutation(reachable)[: campaign.n_customers]))
        self.n = self.past.population.n
        self.first_day = self.past.end_day + rng.integers(0, campaign.spread_days, self.n)
        self.is_held_out = np.zeros(self.n, dtype=bool)
        self.heads: list[DecisionHead] = []
        self._chooser = EngineChooser(stage.engine, stage.offers)
        self._as_treated = EngineChooser(stage.as_treated, stage.offers)
        self._book = Book(self.past.population, stage.offers, np.arange(self.n))

    @property
    def last_day(self) -> int:
        """The day after everybody's days are over."""
        return self.past.end_day + self.campaign.spread_days + self.campaign.lift.days + 1

    def live(self) -> tuple[Log, Log]:
        """Return what happens where everybody is treated, and where nobody gets a message."""
        past, campaign, offers = self.past, self.campaign, self.stage.offers
        worlds = [past.world.copy(offers, campaign.truth) for _ in range(2)]
        books = [Logbook(past.population.shop.time_zone) for _ in worlds]
        for day in range(past.end_day, self.last_day):
            draws = draws_of(past.population, campaign.seed, day)
            moment = Moment(day, books[0].message_us(day), offers.runs(day))
            to, given = self._decided(moment)
            delivered = worlds[0].send(day, draws, to, given)
            self._book.sent(day, books[0].sent(day, delivered), delivered)
            for world, logbook in zip(worlds, books, strict=True):
                lines = world.step(day, draws)
                at_us = logbook.bought(day, lines, draws.hour)
                if world is worlds[0]:
                    self._book.bought(day, at_us, lines)
        return books[0].log(), books[1].log()

    def _decided(self, moment: Moment) -> tuple[Ints, Ints]:
        """Return who would be sent which offer now, as if nobody was held out; the log of decisions has the arms."""
        since = moment.day - self.first_day
        due = np.flatnonzero((since >= 0) & (since < WEEK_DAYS * self.campaign.n_calls) & (since % WEEK_DAYS == 0))
        given = np.array([self._decide(moment, int(customer)) for customer in due], dtype=np.int64)
        return due[given >= 0], given[given >= 0]

    def _decide(self, moment: Moment, customer: int) -> int:
        """Return the offer that a customer would be sent as one of the treated; the call itself goes by their arm."""
        name, engine = self._book.id_of(customer), self.stage.engine
        answer = self._chooser.answer(moment, name, self._book, customer)
        label = answer["experiment"]
        head = DecisionHead(
            f"{moment.day}-{name}",
            CALL,
            moment.at_us,
            engine.bundle.manifest.version,
            label,  # type: ignore[arg-type]  # a TypedDict of the same two strings
            engine.odds(label),
            (name,),
            0,
        )
        self.heads.append(head)
        self.is_held_out[customer] = label is not None and label["name"] == HOLDOUT
        if self.is_held_out[customer]:
            answer = self._as_treated.answer(moment, name, self._book, customer)
        return self._chooser.taken(moment, answer, self._book, customer)


def _measured(
    run: _Run, logs: tuple[Log, Log], question: Question, exposures: Exposures, sample_ratio: float
) -> Outcome:
    policy, past = run.campaign.lift, run.past
    everybody = np.ones(run.n, dtype=bool)
    before = doings_of_world(past, past.log, everybody)
    worlds = [joined_doings(before, doings_of_world(past, log, everybody)) for log in logs]
    observed = joined_doings(
        before,
        joined_doings(
            doings_of_world(past, logs[0], ~run.is_held_out), doings_of_world(past, logs[1], run.is_held_out)
        ),
    )
    until_us = Logbook(past.population.shop.time_zone).midnight_us(run.last_day)

    def outcomes(doings: Doings) -> Outcomes:
        return outcomes_of(exposures.found, ["all"] * len(exposures.found), doings, policy, until_us)

    with_offers, without = (outcomes(doings).outcomes[VALUE] for doings in worlds)
    seen = outcomes(observed)
    check_enough(seen, question.arms, policy)
    found: ArmLift = measure(question, seen, policy)[0]
    effect = found.effects[VALUE]
    treated = ~run.is_held_out
    return Outcome(
        run.campaign.name,
        float((with_offers - without).mean()),
        effect.plain,
        effect.adjusted,
        effect.always,
        tuple(look.interval for look in found.looks),
        tuple(_hasty(look, policy.planned_customers) for look in found.looks),
        len(exposures.found),
        int(treated[logs[0].messages.customer].sum()),
        int((treated[logs[0].lines.customer] & (logs[0].lines.offer >= 0)).sum()),
        sample_ratio,
    )


def _hasty(look: Look, planned: int) -> Interval:
    """Return the interval for one look of the estimate that an always-valid one is about."""
    halves = always_valid(Estimate(0.0, 1.0, look.n), planned=planned).high
    value = look.interval.value
    return Estimate(value, (look.interval.high - value) / halves, look.n).interval()


def doings_of_world(past: Past, log: Log, is_seen: Bools) -> Doings:
    """Return what some customers did in a world, as the lift code takes it: a row an order, and channels left."""
    names = np.array(past.population.customer_ids, dtype=object)
    lines, mine = log.lines, is_seen[log.lines.customer]
    orders = pd.DataFrame(
        {
            "customer": lines.customer[mine],
            "day": log.lines_day[mine],
            c.AT_US: log.lines_us[mine],
            c.QUANTITY: lines.quantity[mine].astype(np.float64),
            c.AMOUNT: lines.amount[mine],
            c.MARGIN: lines.margin[mine],
        }
    )
    grouped = orders.groupby(["customer", "day"], as_index=False).agg(
        {c.AT_US: "first", c.QUANTITY: "sum", c.AMOUNT: "sum", c.MARGIN: "sum"}
    )
    customer, day = grouped["customer"].to_numpy(np.int64), grouped["day"].to_numpy(np.int64)
    purchases = grouped.drop(columns=["customer", "day"]).assign(
        **{c.CUSTOMER_ID: names[customer], c.ORDER_ID: order_ids(past.population, customer, day)}
    )
    until_us = int(purchases[c.AT_US].max()) if len(purchases) else 0
    return Doings(purchases, _events(names, log, is_seen), _no_rewards(), until_us)


def joined_doings(one: Doings, other: Doings) -> Doings:
    """Return what both say."""
    return replace(
        one,
        purchases=pd.concat([one.purchases, other.purchases], ignore_index=True),
        events=pd.concat([one.events, other.events], ignore_index=True),
        until_us=max(one.until_us, other.until_us),
    )


def _events(names: np.ndarray, log: Log, is_seen: Bools) -> pd.DataFrame:
    left = log.messages.leaves & is_seen[log.messages.customer]
    used = (log.lines.offer >= 0) & is_seen[log.lines.customer]
    parts = [
        pd.DataFrame({c.CUSTOMER_ID: names[customer], c.AT_US: at_us, c.TYPE: kind.value})
        for kind, customer, at_us in (
            (EventType.UNSUBSCRIBE, log.messages.customer[left], log.messages_us[left]),
            (EventType.REDEEM, log.lines.customer[used], log.lines_us[used]),
        )
    ]
    return pd.concat(parts, ignore_index=True)


def _no_rewards() -> pd.DataFrame:
    return pd.DataFrame({c.CUSTOMER_ID: [], c.AT_US: [], c.COST: []})
