"""What all requests of a worker share, and what every call checks before it looks at the body."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from serving.champion import Champion, Serving
from serving.decide import Decider
from serving.decision_ids import DecisionIds
from serving.decisioning.policy import Policy, default_policy
from serving.experiments_file import ExperimentsFile
from serving.http_body import Scope, check_content_type
from serving.http_clock import Clock
from serving.http_drift import Drift
from serving.http_keys import KeyGate
from serving.http_load import LoadGate, OneByOne
from serving.http_metrics import Metrics
from serving.http_problems import FieldError, Problem, field_name, wrong_fields
from serving.http_ready import ReadyBoard
from serving.http_state import StateDoor
from serving.http_tally import DecisionTally
from serving.refusals import Refusals
from serving.state.known import Live

RETRY_SECONDS = 5
"""When to try again while no bundle serves: taking one up takes a second or two."""

ANSWER_SECONDS = 1.6
"""How long an answer may take in all."""


@dataclass
class Shop:
    """What all requests of a worker share."""

    # Any: the engine's type is named where it is opened, in service.py; here only its calls matter.
    champion: Champion[Any]
    clock: Clock
    ids: DecisionIds
    metrics: Metrics
    door: StateDoor
    keys: KeyGate = field(default_factory=lambda: KeyGate(None, clock=time.monotonic))
    gate: LoadGate = field(default_factory=lambda: LoadGate(time.perf_counter))
    large: OneByOne = field(default_factory=OneByOne)
    refusals: Refusals = field(default_factory=Refusals)
    ready: ReadyBoard = field(default_factory=ReadyBoard)
    experiments: ExperimentsFile | None = None
    # What was in force when the server started: it holds for as long as no bundle brings its own.
    home_policy: Policy = field(default_factory=default_policy)
    log_requests: bool = False
    # When the collector may take what served before, of `time.monotonic`.
    let_go_at: float | None = None
    # What decides for one bundle, with the state and without; made with the first decision, let go of with the bundle.
    deciders: tuple[Serving[Any], Decider, Decider] | None = None
    tally: DecisionTally = field(init=False)
    drift: Drift = field(init=False)

    def __post_init__(self) -> None:
        """Make what fills the metrics."""
        self.tally = DecisionTally(self.metrics)
        self.drift = Drift(self.metrics)

    def tell_metrics(self) -> None:
        """Carry over what was counted beside the metrics, and say what the time is here."""
        self.tally.flush()
        self.drift.flush()
        self.metrics.flush()
        self.metrics.tell_now(self.clock.now().timestamp())

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        serving = self.champion.current
        policy: Policy = self.home_policy if serving is None else serving.engine.bundle.policy
        return policy

    @property
    def current_ids(self) -> DecisionIds:
        """The ids of decisions: those of the state, else (it was never there yet) of this home."""
        return self.door.ids or self.ids

    def may_keep(self, live: Live) -> bool:
        """Say whether what this customer does may be kept under their id."""
        serving = self.champion.current
        if serving is not None:
            return bool(serving.engine.may_personalize(live.customer_id, live))
        consent = live.consent or {}
        return consent.get("personalize", self.home_policy.consent.personalize)

    def kind_of(self, product_id: str) -> tuple[str, str] | None:
        """Return the type and category of a product, None where it isn't known."""
        serving = self.champion.current
        found: tuple[str, str] | None = None if serving is None else serving.engine.kinds(product_id)
        return found

    def cost_of(self, offer_id: str) -> float | None:
        """Return what a redemption of an offer costs, money; None where it isn't known."""
        serving = self.champion.current
        cost: float | None = None if serving is None else serving.engine.offer_cost(offer_id)
        return cost

    def is_loyal(self, customer_id: str) -> bool:
        """Say whether the bundle knows the customer: no guest's key then."""
        serving = self.champion.current
        return serving is not None and bool(serving.engine.knows(customer_id))


def check_head(scope: Scope) -> None:
    """Raise where headers or query don't fit a call with a body: a 415, or a 422 for a field in the address."""
    names = dict(scope["headers"])
    if b"content-encoding" in names:
        raise Problem(415, "send the body as it is, without Content-Encoding")
    check_content_type(names.get(b"content-type", b""))
    check_query(scope, "belongs into the JSON body, not into the address")


def check_query(scope: Scope, message: str = "this call has no such field") -> None:
    """Raise a 422 that names the first field of the address's query, if there is one."""
    if scope["query_string"]:
        name = scope["query_string"].decode("latin-1").partition("=")[0]
        raise wrong_fields([FieldError(field_name(name), message)])
