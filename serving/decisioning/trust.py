"""Trust: how past messages, returns and completions went, as one number from 0 to 1; 0.5 for the usual customer.

Each part compares a customer's own share, drawn to the usual one by a prior, with the usual one: ``own ÷ (own +
usual)`` of what is good, ``usual ÷ (own + usual)`` of what is not. So nothing known is 0.5, as is as often as usual.
"""

from __future__ import annotations

import math

from serving.decisioning.contact import Contacts
from serving.decisioning.policy_contact import TrustPolicy


def trust(contacts: Contacts, n_completed: int, n_missed: int, policy: TrustPolicy) -> float:
    """Return the trust of one customer, 0 to 1.

    It rises with answers and completed challenges, and falls with messages unanswered, channels left, returns and
    challenges that were shown and not completed.
    """
    answers = _above(
        _drawn(
            contacts.n_answered,
            max(contacts.n_sent, contacts.n_answered) + policy.left_messages * contacts.n_left(),
            policy.usual_answer_share,
            policy.prior_messages,
        ),
        policy.usual_answer_share,
    )
    completions = _above(
        _drawn(n_completed, n_completed + n_missed, policy.usual_completion, policy.prior_challenges),
        policy.usual_completion,
    )
    n_baskets = contacts.n_baskets
    returns = _above(
        _drawn(contacts.return_share * n_baskets, n_baskets, policy.usual_return_share, policy.prior_baskets),
        policy.usual_return_share,
    )
    parts = (
        (policy.answers_weight, answers),
        (policy.returns_weight, 1.0 - returns),
        (policy.completions_weight, completions),
    )
    return math.fsum(weight * part for weight, part in parts) / math.fsum(weight for weight, _ in parts)


def _drawn(n: float, of: float, usual: float, prior: float) -> float:
    """Return a share, drawn to the usual one as if that had been seen `prior` times."""
    return (n + usual * prior) / (of + prior)


def _above(own: float, usual: float) -> float:
    """Return how a share compares with the usual one: 0.5 when they are the same, towards 1 the larger it is."""
    return own / (own + usual)
