"""Audiences: customers like a list of seeds, or whose scores fit a rule (docs/audiences.md).

Only customers whose history may be used: by the bundle and the policy, and by what they have said since; nobody who was
forgotten or is held out, and each person once, under the id that stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from threading import Lock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serving.answers import as_shortfall
from serving.api_audiences import AudiencesAnswer, AudiencesRequest, Group, Overlap
from serving.api_codes import ShortfallCode
from serving.audience_likeness import Likeness
from serving.audience_profile import Profiles
from serving.audience_rules import parse_rule
from serving.audience_scores import ScoreColumns
from serving.bundle_format import CONSENT_KEYS, CONSENT_UNKNOWN, CONSENT_YES
from serving.engine import Engine
from serving.errors import InvalidRequest
from serving.state.known import Live

IntArray = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]

Lives = Callable[[Sequence[str]], Mapping[str, Live]]
"""What the state knows of customers, by the ids asked for."""

_LEAST_LOOK = 500
"""Customers that the state is asked about at once, at least: some of them may drop out."""

_PERSONALIZE = CONSENT_KEYS.index("personalize")


@dataclass(frozen=True)
class _Found:
    """Who fits, best first: rows of the bundle, and how similar each is; `of_seeds` is that of the seeds themselves."""

    rows: IntArray
    similarity: F32
    of_seeds: F32


class Audiences:
    """Finds audiences in the bundle of an engine; many threads may ask at once, and the first prepares the vectors."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._bundle = engine.bundle
        self._lock = Lock()

    def find(self, request: AudiencesRequest, at: datetime, decision_id: str, lives: Lives) -> AudiencesAnswer:
        """Return the audience of a request; over the same bundle and state the same request has the same answer.

        Raises
        ------
        InvalidRequest
            When not exactly one of seeds and rule is given, or the rule can't be read.
        """
        self._engine.check(at)
        if request.rule is not None and request.seed_customer_ids is None:
            found = self._by_rule(request.rule, at)
        elif request.rule is None and request.seed_customer_ids is not None:
            found = self._by_seeds(request.seed_customer_ids, at, lives)
        else:
            raise InvalidRequest("rule", "give either a rule or seed_customer_ids")
        members = self._who_may_be_told(found, request.size, at, lives)
        places = [each.place for each in members]
        rows = found.rows[places]
        answer: AudiencesAnswer = {
            "decision_id": decision_id,
            "model_version": self._bundle.manifest.version,
            "personalized": bool(members),
            "experiment": None,
            "currency": self._bundle.manifest.currency,
            "customers": [
                {"customer_id": each.customer_id, "similarity": round(float(found.similarity[each.place]), 6)}
                for each in members
            ],
            "size": len(members),
            "fitting": len(found.rows),
            "overlap": (
                self._with_best(rows, request.size) if request.rule else _with_seeds(found, found.similarity[places])
            ),
            "profile": self._profiles.profile(rows),
        }
        if len(members) < request.size:
            has_nobody = request.rule is None and len(found.of_seeds) == 0
            answer["shortfall"] = as_shortfall(ShortfallCode.NO_SEEDS if has_nobody else ShortfallCode.NOBODY_ELSE)
        return answer

    def _by_rule(self, text: str, at: datetime) -> _Found:
        fits = parse_rule(text)(ScoreColumns(self._bundle, at)) & self._may_be_used
        rows = np.flatnonzero(fits)
        rows = rows[np.argsort(-self._bundle.customers.score[rows], kind="stable")]
        return _Found(rows, np.ones(len(rows), dtype=np.float32), _NOBODY)

    def _by_seeds(self, customer_ids: Sequence[str], at: datetime, lives: Lives) -> _Found:
        known = lives(customer_ids)
        rows = {self._engine.target_row(each, at, live) for each, live in known.items()}
        seeds = np.array(sorted(row for row in rows if row >= 0), dtype=np.int64)
        if len(seeds) == 0:
            return _Found(seeds, _NOBODY, _NOBODY)
        similarity = self._likeness.similarity(seeds)
        of_seeds = similarity[seeds]
        similarity = np.where(self._may_be_used, similarity, np.float32(0.0))
        similarity[seeds] = 0.0
        ranked = np.argsort(-similarity, kind="stable")[: int(np.count_nonzero(similarity))]
        return _Found(ranked, similarity[ranked], of_seeds)

    def _who_may_be_told(self, found: _Found, size: int, at: datetime, lives: Lives) -> list[_Member]:
        """Return the first `size` of those found whom the state lets through, each person once."""
        members: list[_Member] = []
        ids = self._bundle.customers.id
        first = 0
        while first < len(found.rows) and len(members) < size:
            end = first + max(size - len(members), _LEAST_LOOK)
            looked = {ids[row]: row for row in found.rows[first:end].tolist()}
            known = lives(list(looked))
            for place, (customer_id, row) in enumerate(looked.items(), start=first):
                live = known[customer_id]
                # Of the rows of one who has several, only the one that speaks for them counts.
                if self._engine.target_row(customer_id, at, live) == row:
                    members.append(_Member(live.customer_id or customer_id, place))
            first = end
        return members[:size]

    def _with_best(self, rows: IntArray, size: int) -> Overlap:
        """Return how many of the shop's best customers the audience takes in."""
        scores = np.where(self._may_be_used, self._bundle.customers.score, np.float32(-1.0))
        best = np.argsort(-scores, kind="stable")[: min(size, int(self._may_be_used.sum()))]
        return _overlap("best_customers", len(best), int(np.isin(best, rows).sum()))

    @cached_property
    def _may_be_used(self) -> npt.NDArray[np.bool_]:
        """Whose history may be used by what the bundle and the policy say, shape ``(n_customers,)``."""
        said = self._bundle.customers.consent[:, _PERSONALIZE]
        found: npt.NDArray[np.bool_] = said == CONSENT_YES
        return found | (said == CONSENT_UNKNOWN) if self._bundle.policy.consent.personalize else found

    @property
    def _likeness(self) -> Likeness:
        with self._lock:
            return self._made_likeness

    @cached_property
    def _made_likeness(self) -> Likeness:
        return Likeness(self._bundle, self._may_be_used)

    @cached_property
    def _profiles(self) -> Profiles:
        return Profiles(self._bundle, self._may_be_used, self._likeness)


class _Member(NamedTuple):
    """One who may be told, under the id that stands; `place` is theirs among those found."""

    customer_id: str
    place: int


_NOBODY: F32 = np.zeros(0, dtype=np.float32)


def _with_seeds(found: _Found, similarity: F32) -> Overlap:
    """Return how many of the seeds are at least as similar as the last member."""
    n_found = int((found.of_seeds >= similarity[-1]).sum()) if len(similarity) else 0
    return _overlap("seeds", len(found.of_seeds), n_found)


def _overlap(group: Group, size: int, n_found: int) -> Overlap:
    return {"group": group, "of": size, "customers": n_found, "share": round(n_found / size, 6) if size else 0.0}
