from __future__ import annotations

from serving.refusals import Refusals
from serving.state.known import NOBODY, Live


def refuses(refusals: Refusals, customer_id: str) -> bool:
    return refusals.known(customer_id).live.consent == {"personalize": False}


def test_a_refusal_is_remembered_until_it_is_taken_back() -> None:
    refusals = Refusals()
    refusals.see("anna", Live("anna", consent={"personalize": False}))
    was_refused = refuses(refusals, "anna")
    refusals.see("anna", Live("anna", consent={"personalize": True}))

    assert was_refused
    assert not refuses(refusals, "anna")


def test_one_who_was_forgotten_is_remembered_as_such() -> None:
    refusals = Refusals()
    refusals.see("anna", Live("anna", is_erased=True, erased_us=1))

    assert refuses(refusals, "anna")


def test_what_says_nothing_of_it_is_no_refusal() -> None:
    refusals = Refusals()
    refusals.see("anna", Live("anna"))
    refusals.see("ben", Live("ben", consent={"email": False}))

    assert not refuses(refusals, "anna")
    assert not refuses(refusals, "ben")
    assert refusals.known(None).live is NOBODY


def test_only_the_latest_are_remembered() -> None:
    refusals = Refusals(limit=2)
    for customer_id in ("anna", "ben", "anna", "cleo"):
        refusals.see(customer_id, Live(customer_id, consent={"personalize": False}))

    assert [refuses(refusals, each) for each in ("anna", "ben", "cleo")] == [True, False, True]
