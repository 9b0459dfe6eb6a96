"""The policy: every number and list by which the engine decides, typed and checked, from ``policy.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from serving.decisioning.policy_actions import ActionsPolicy
from serving.decisioning.policy_contact import (
    CapsPolicy,
    FatiguePolicy,
    QuietHoursPolicy,
    TrustPolicy,
    contact_mistakes,
)
from serving.decisioning.policy_exploration import ExplorationPolicy
from serving.decisioning.policy_gate import GatePolicy
from serving.decisioning.policy_merchandising import KINDS, NO_RULES, Merchandising, parse_merchandising
from serving.decisioning.policy_offers import OffersPolicy
from serving.decisioning.policy_types import Range as Range
from serving.decisioning.policy_types import Share as Share
from serving.decisioning.policy_types import parsed_value
from serving.errors import PolicyError

DEFAULT_POLICY_PATH = Path(__file__).parent.parent / "policy.toml"


@dataclass(frozen=True)
class ShopPolicy:
    """Days, weeks and money; an empty time zone is the source's own."""

    time_zone: str
    currency: str


@dataclass(frozen=True)
class ConsentPolicy:
    """What is assumed of a customer who has said nothing."""

    personalize: bool
    email: bool
    sms: bool
    push: bool
    location: bool


@dataclass(frozen=True)
class HabitPolicy:
    """When a habit is just bought, when it is due, and when it has a pace."""

    just_bought_share: Share
    just_bought_days: Annotated[float, Range(0, 60)]
    due_slack_days: Annotated[float, Range(0, 30)]
    regular_purchases: Annotated[int, Range(2, 20)]


@dataclass(frozen=True)
class StretchPolicy:
    """What makes a category a worthy stretch, and which of its products is shown."""

    min_worth_ratio: Annotated[float, Range(0, 10)]
    link_min_lift: Annotated[float, Range(1, 100)]
    link_bonus: Annotated[float, Range(0, 5)]
    leaning_weight: Share
    rank_step: Share


@dataclass(frozen=True)
class MarginPolicy:
    """What stands in for a margin that is not known."""

    rate_where_unknown: Share


@dataclass(frozen=True)
class RewardPolicy:
    """How large a reward may be; money is in the shop's currency."""

    kind: str
    share_of_extra_margin: Share
    habit_uplift: Share
    stretch_uplift: Share
    cost_rate: Share
    step: Annotated[float, Range(0.01, 1000)]
    min_value: Annotated[float, Range(0.01, 100_000)]
    max_value: Annotated[float, Range(0.01, 100_000)]


@dataclass(frozen=True)
class RecommendationPolicy:
    """How a ranked slate is composed."""

    soft_max_per_category: Annotated[int, Range(1, 100)]
    discover_share: Share


@dataclass(frozen=True)
class SubstitutePolicy:
    """What moves a substitute up or down for one who may be known; the scores that it is added to are logarithms."""

    own_weight: Annotated[float, Range(0, 10)]
    leaning_weight: Annotated[float, Range(0, 10)]
    price_weight: Annotated[float, Range(0, 10)]


@dataclass(frozen=True)
class StatePolicy:
    """How long, and how much of it, the state is kept."""

    events_days: Annotated[int, Range(1, 3650)]
    decisions_days: Annotated[int, Range(1, 3650)]
    challenge_weeks: Annotated[int, Range(1, 104)]
    events_per_customer: Annotated[int, Range(10, 5000)]
    attribution_days: Annotated[int, Range(0, 90)]
    max_clock_ahead_hours: Annotated[int, Range(0, 168)]


@dataclass(frozen=True)
class EventPolicy:
    """What a customer's events change until the next bundle (docs/events.md). Weights are shares of a full interest."""

    interest_factor: Annotated[float, Range(1, 100)]
    view_weight: Share
    search_weight: Share
    click_weight: Share
    scan_weight: Share
    wishlist_weight: Share
    cart_weight: Share
    purchase_weight: Share
    impression_weight: Share
    max_weight: Annotated[float, Range(0, 5)]
    like_share: Share
    half_life_days: Annotated[float, Range(0.01, 365)]
    cart_hours: Annotated[float, Range(0, 8760)]
    dismiss_days: Annotated[float, Range(0, 3650)]
    dismiss_weight: Share
    first_purchase_factor: Annotated[float, Range(1, 1000)]
    guest_purchase_factor: Annotated[float, Range(1, 1000)]
    max_sources: Annotated[int, Range(1, 200)]
    min_product_events: Annotated[int, Range(1, 100)]


@dataclass(frozen=True)
class ListPolicy:
    """Words that keep products out of answers, and phrases that hold such a word and mean something else."""

    excluded: tuple[str, ...]
    restricted: tuple[str, ...]
    intimate: tuple[str, ...]
    harmless: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """The whole policy, a section of ``policy.toml`` a field; `merchandising` has the tables of pins, boosts, bans."""

    shop: ShopPolicy
    consent: ConsentPolicy
    habit: HabitPolicy
    stretch: StretchPolicy
    margin: MarginPolicy
    reward: RewardPolicy
    recommendations: RecommendationPolicy
    substitutes: SubstitutePolicy
    state: StatePolicy
    events: EventPolicy
    exploration: ExplorationPolicy
    offers: OffersPolicy
    fatigue: FatiguePolicy
    caps: CapsPolicy
    quiet_hours: QuietHoursPolicy
    trust: TrustPolicy
    actions: ActionsPolicy
    gate: GatePolicy
    lists: ListPolicy
    merchandising: Merchandising = NO_RULES


_VALUE = re.compile(r"^(\w+ = )(\"(?:[^\"\\]|\\.)*\"|\{[^}]*\}|[^\s#]+)")
# A policy written before there was such a section, as in a stored bundle, goes by its defaults.
_LATER_SECTIONS = (
    "substitutes",
    "state",
    "events",
    "exploration",
    "offers",
    "fatigue",
    "caps",
    "quiet_hours",
    "trust",
    "actions",
    "gate",
)
REWARD_KINDS = ("discount", "free_shipping", "points", "gift")


@cache
def default_policy_text() -> str:
    """Return the text of the policy that ships with tercet, comments and all."""
    return DEFAULT_POLICY_PATH.read_text("utf-8")


def default_policy() -> Policy:
    """Return the policy that ships with tercet."""
    return parse_policy(default_policy_text())


def parse_policy(text: str) -> Policy:
    """Return the policy of a TOML text; PolicyError lists every unknown, missing or wrong key at once."""
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; so are endless numbers
        raise PolicyError(f"not TOML: {error}") from error
    found = {name: tomllib.loads(default_policy_text())[name] for name in _LATER_SECTIONS} | found
    mistakes: list[str] = []
    kinds = {name: kind for name, kind in get_type_hints(Policy).items() if name != "merchandising"}
    sections = {name: _parse_section(name, kind, found, mistakes) for name, kind in kinds.items()}
    is_sound = not mistakes
    mistakes += [f"{name}: unknown section" for name in found if name not in (*sections, *KINDS)]
    merchandising, wrong = parse_merchandising(found, text)
    mistakes += wrong
    if not is_sound and text != default_policy_text():
        # What sections must be to one another is asked of the sound ones, so that all mistakes come at once.
        standard = default_policy()
        sections = {name: each or getattr(standard, name) for name, each in sections.items()}
    policy = Policy(**sections, merchandising=merchandising)
    mistakes += _cross_check(policy)
    if mistakes:
        raise PolicyError("; ".join(mistakes))
    return policy


def with_values(text: str, changes: Mapping[str, str | float | bool | Mapping[str, float]]) -> str:
    """Return the policy text with other values, comments kept; `changes` by full key, such as ``shop.currency``.

    PolicyError when a key doesn't stand in the text on a line of its own, or the outcome isn't a policy.
    """
    lines = text.split("\n")
    for key, value in changes.items():
        section, _, name = key.partition(".")
        starts = [i for i, line in enumerate(lines) if line.split("#")[0].strip() == f"[{section}]"]
        inside = range(starts[0] + 1, len(lines)) if starts else range(0)
        place = next((i for i in inside if lines[i].startswith(("[", f"{name} ="))), None)
        match = None if place is None else _VALUE.match(lines[place])
        if place is None or match is None:
            raise PolicyError(f"{key}: no such key on a line of its own")
        lines[place] = match[1] + _literal(value) + lines[place][match.end() :]
    changed = "\n".join(lines)
    parse_policy(changed)
    return changed


def _literal(value: str | float | bool | Mapping[str, float]) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_literal(each)}" for key, each in value.items()) + " }"
    if isinstance(value, bool):
        return str(value).lower()
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if isinstance(value, str) else repr(value)


def _parse_section(name: str, kind: type, found: Mapping[str, Any], mistakes: list[str]) -> Any:  # Any: one per section
    values, wrong = parsed_values(name, kind, found)
    mistakes += wrong
    return None if wrong else kind(**values)


def parsed_values(name: str, kind: type, found: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the values of a section of a TOML table, by field of the dataclass `kind`, and what is wrong with them.

    A field's annotation says its type and its Range.
    """
    section = found.get(name)
    if not isinstance(section, dict):
        return {}, [f"{name}: this section is missing"]
    hints = get_type_hints(kind, include_extras=True)
    mistakes = [f"{name}.{key}: unknown key" for key in section if key not in hints]
    mistakes += [f"{name}.{key}: missing" for key in hints if key not in section]
    values = {}
    for key, hint in hints.items():
        if key in section:
            values[key], mistake = parsed_value(section[key], hint)
            mistakes += [f"{name}.{key}: {mistake}"] if mistake else []
    return values, mistakes


def _cross_check(policy: Policy) -> list[str]:
    mistakes = []
    try:
        ZoneInfo(policy.shop.time_zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        mistakes.append(
            f"shop.time_zone: {policy.shop.time_zone!r} is not a time zone; expected one such as Europe/Berlin"
        )
    if not re.fullmatch(r"[A-Z]{3}", policy.shop.currency):
        mistakes.append(f"shop.currency: {policy.shop.currency!r} is not a code of three capitals, such as EUR")
    mistakes += [
        f"actions.surprise_kinds: {kind!r} is none of {', '.join(REWARD_KINDS)}"
        for kind in policy.actions.surprise_kinds
        if kind not in REWARD_KINDS
    ]
    reward = policy.reward
    if reward.kind not in REWARD_KINDS:
        mistakes.append(f"reward.kind: {reward.kind!r} is none of {', '.join(REWARD_KINDS)}")
    if reward.min_value > reward.max_value:
        mistakes.append(f"reward.min_value: {reward.min_value} is above reward.max_value ({reward.max_value})")
    return mistakes + contact_mistakes(policy.fatigue, policy.caps, policy.quiet_hours, policy.trust)
