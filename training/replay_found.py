"""What came of decisions that were made anew under two policies, counted by call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from serving.channels import MESSAGE_CHANNELS
from serving.state.decisions import DecisionPart
from serving.state.known import Trace

Answer = Mapping[str, Any]  # Any: an answer, typed in serving/api_answers.py and its like

N_EXAMPLES = 3
EXPECTED_VALUE = "expected value"
MEASURES = (EXPECTED_VALUE, "reward cost", "chance of all three", "messages")


class Shown(NamedTuple):
    """What an answer gives, as one can compare it: ids in their order, and for an action its kind and its channel."""

    ids: tuple[str, ...]
    way: str = ""

    def __str__(self) -> str:
        """Return it in words."""
        ids = ", ".join(self.ids)
        return f"{self.way}: {ids}" if self.way and ids else self.way or ids or "nothing"


@dataclass(frozen=True)
class Redone:
    """One decision made anew: the answers of its own policy and of the other one, with what each withheld."""

    call: str
    decision_id: str
    own: Answer
    other: Answer
    own_trace: Trace
    other_trace: Trace


@dataclass(frozen=True)
class Example:
    """A decision that would have been another one; `gain` is how far its expected value would have moved, money."""

    decision_id: str
    before: Shown
    after: Shown
    gain: float


@dataclass
class Tally:
    """What came of the decisions of one call; `n_by_own_policy` of them were in no arm with another policy.

    `own` and `other` are sums of `MEASURES`, `came_in` and `went_out` count what only the one or the other gives, and
    `withheld` has, by reason, how often each policy withheld something.
    """

    n: int = 0
    n_by_own_policy: int = 0
    n_as_recorded: int = 0
    n_changed: int = 0
    n_items: int = 0
    n_items_changed: int = 0
    own: dict[str, float] = field(default_factory=dict)
    other: dict[str, float] = field(default_factory=dict)
    came_in: Counter[str] = field(default_factory=Counter)
    went_out: Counter[str] = field(default_factory=Counter)
    withheld: dict[str, list[int]] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)

    def add(self, redone: Redone, recorded: Shown | None) -> None:
        """Count one decision: what was recorded (None: by an arm's policy), and what the two policies make of it."""
        before, after = shown_of(redone.own), shown_of(redone.other)
        self.n += 1
        self.n_by_own_policy += recorded is not None
        self.n_as_recorded += recorded is not None and _as_set(recorded) == _as_set(before)
        self.n_items += len(after.ids)
        self.n_items_changed += len(set(after.ids) - set(before.ids))
        self.came_in.update(each for each in after.ids if each not in before.ids)
        self.went_out.update(each for each in before.ids if each not in after.ids)
        gains = [0.0, 0.0]
        for place, (sums, answer) in enumerate(((self.own, redone.own), (self.other, redone.other))):
            measured = measures(answer)
            gains[place] = measured.get(EXPECTED_VALUE, 0.0)
            for name, value in measured.items():
                sums[name] = sums.get(name, 0.0) + value
        for place, (trace, answer) in enumerate(((redone.own_trace, redone.own), (redone.other_trace, redone.other))):
            for reason in _reasons(trace, answer):
                self.withheld.setdefault(reason, [0, 0])[place] += 1
        if before != after or redone.own.get("reward") != redone.other.get("reward"):
            self.n_changed += 1
            self._keep(Example(redone.decision_id, before, after, gains[1] - gains[0]))

    def _keep(self, example: Example) -> None:
        """Keep the examples that move the most, the earlier id first among equals; whatever order they come in."""
        self.examples.append(example)
        self.examples.sort(key=lambda each: (-abs(each.gain), each.before == each.after, each.decision_id))
        del self.examples[N_EXAMPLES:]


@dataclass
class Replayed:
    """All that was decided anew, by call, with the categories that were shown; and what was left out, and why.

    `policies` has, for each bundle whose decisions were made anew, what the other policy says differently; `names` what
    products are called.
    """

    from_us: int
    to_us: int
    calls: dict[str, Tally] = field(default_factory=dict)
    categories: dict[str, list[int]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    policies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def add(self, redone: Redone, recorded: Shown | None) -> None:
        """Count one decision."""
        self.calls.setdefault(redone.call, Tally()).add(redone, recorded)
        for place, answer in enumerate((redone.own, redone.other)):
            for item in answer.get("items", ()):
                self.names[item["product_id"]] = item["name"]
                self.categories.setdefault(item["category"], [0, 0])[place] += 1


def shown_of(answer: Answer) -> Shown:
    """Return what an answer gives: products, offers, or an action."""
    ids = [item["product_id"] for item in answer.get("items", ())]
    offers = [answer["offer"]] if "offer" in answer else answer.get("offers", ())
    way = "" if "trigger" not in answer else _way(answer)
    return Shown((*ids, *(offer["offer_id"] for offer in offers)), way)


def recorded_of(part: DecisionPart) -> Shown:
    """Return what a decision gave, as it was recorded."""
    ids = [str(item.get("product_id", item.get("offer_id"))) for item in part.shown]
    return Shown(tuple(ids), "" if part.action is None else _way(part.action))


def measures(answer: Answer) -> dict[str, float]:
    """Return what an answer is expected to bring and cost, money, and the messages that it is; nothing of a ranking."""
    if "completion_probability" in answer:
        cost = answer["reward"]["cost"] if answer["reward"] else 0.0
        return dict(zip(MEASURES, (answer["expected_value"], cost, answer["completion_probability"]), strict=False))
    if "offers" in answer:
        return _offer_measures(answer["offers"])
    if "trigger" not in answer:
        return {}
    offers = [answer["offer"]] if "offer" in answer else []
    found = _offer_measures(offers)
    found[EXPECTED_VALUE] += answer.get("worth", {}).get("expected_value", 0.0)
    return {**found, "messages": float(answer.get("channel") in MESSAGE_CHANNELS)}


def _offer_measures(offers: list[Answer]) -> dict[str, float]:
    value = sum(each["expected_value"] for each in offers)
    return {EXPECTED_VALUE: float(value), "reward cost": float(sum(each["reward_cost"] for each in offers))}


def _way(action: Answer) -> str:
    """Return an action in a few words: what it does, and where."""
    kind = str(action["kind"])
    return kind if action.get("channel") is None else f"{kind} by {action['channel']}"


def _as_set(shown: Shown) -> tuple[frozenset[str], str]:
    return frozenset(shown.ids), shown.way


def _reasons(trace: Trace, answer: Answer) -> list[str]:
    reasons = [each.reason for each in trace.withheld]
    if answer.get("kind") == "none":
        reasons.append(str(answer["reason"]["code"]))
    return reasons
