"""What every store must do: one suite, on a file and on a real Redis server."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.errors import StateUnavailable
from serving.state.store import ABSENT, Addition, Commit, Store, key_of, prefix_of
from tests.serving.state.conftest import Opener


def value_of(store: Store, key: str) -> bytes | None:
    (document,) = store.read([key])
    return None if document is None else document.value


def version_of(store: Store, key: str) -> int:
    (document,) = store.read([key])
    return ABSENT if document is None else document.version


def test_a_fresh_store_is_fit_and_empty(store: Store) -> None:
    assert store.check() == ()
    assert store.read(["a"]) == [None]
    assert store.scan("") == []


def test_nothing_asked_for_is_nothing_found(store: Store) -> None:
    assert store.read([]) == []


def test_what_was_put_is_read_in_the_order_asked_for_with_gaps_and_repeats(store: Store) -> None:
    assert store.commit(Commit(put={"a": b"1", "b": b"2"}))
    documents = store.read(["b", "x", "a", "b"])
    assert [each and each.value for each in documents] == [b"2", None, b"1", b"2"]


@pytest.mark.parametrize("value", [b"", b"\x00", bytes(range(256)), b"x" * 3_000_000])
def test_values_come_back_byte_by_byte(store: Store, value: bytes) -> None:
    store.commit(Commit(put={"a": value}))
    assert value_of(store, "a") == value


@pytest.mark.parametrize("key", ["ä/ß", "a b\n", "%_*?[]\\", "\x00", "🧀/\uffff", "a" * 2000, "A"])
def test_any_text_is_a_key_and_only_itself(store: Store, key: str) -> None:
    store.commit(Commit(put={key: b"1", "a": b"2"}))
    assert value_of(store, key) == b"1"
    assert value_of(store, key + "x") is None
    assert [found for found, _ in store.scan(key)] == [key]


def test_half_a_character_is_no_key_and_harms_no_other_commit(store: Store) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        store.submit(Commit(put={"\ud800": b"1"}))
    with pytest.raises(ValueError, match="surrogates"):
        store.read(["\ud800"])
    assert store.commit(Commit(put={"a": b"1"}))


def test_thousands_of_documents_go_into_one_commit_and_one_read(store: Store) -> None:
    put = {f"k/{n}": str(n).encode() for n in range(5000)}
    assert store.commit(Commit(put=put, expect=dict.fromkeys(put, ABSENT)))
    assert [each and each.value for each in store.read(list(put))] == list(put.values())
    assert store.commit(Commit(delete=list(put), expect={"k/0": version_of(store, "k/0")}))
    assert store.scan("k/") == []


def test_every_write_makes_a_greater_version(store: Store) -> None:
    versions = []
    for value in (b"1", b"2", b"2"):
        store.commit(Commit(put={"a": value}))
        versions.append(version_of(store, "a"))
    assert versions == sorted(set(versions))
    assert versions[0] > ABSENT


def test_a_document_that_was_deleted_and_made_again_has_no_old_version(store: Store) -> None:
    store.commit(Commit(put={"a": b"1"}))
    old = version_of(store, "a")
    store.commit(Commit(delete=["a"]))
    store.commit(Commit(put={"a": b"1"}))
    assert version_of(store, "a") > old
    assert not store.commit(Commit(put={"a": b"2"}, expect={"a": old}))


def test_other_documents_keep_their_version(store: Store) -> None:
    store.commit(Commit(put={"a": b"1"}))
    before = version_of(store, "a")
    store.commit(Commit(put={"b": b"1"}, delete=["c"]))
    assert version_of(store, "a") == before


def test_a_commit_happens_when_its_expectation_holds(store: Store) -> None:
    assert store.commit(Commit(put={"a": b"1"}, expect={"a": ABSENT}))
    assert store.commit(Commit(put={"a": b"2"}, expect={"a": version_of(store, "a"), "b": ABSENT}))
    assert value_of(store, "a") == b"2"


@pytest.mark.parametrize("expect", [{"a": ABSENT}, {"a": 1}, {"b": 7}, {"c": ABSENT, "a": ABSENT}])
def test_nothing_of_a_commit_happens_when_one_expectation_fails(store: Store, expect: dict[str, int]) -> None:
    store.commit(Commit(put={"a": b"1"}))
    assert not store.commit(Commit(put={"a": b"2", "c": b"3"}, delete=["a"], expect=expect))
    assert [value_of(store, key) for key in "abc"] == [b"1", None, None]


def test_a_commit_that_expects_and_changes_nothing_says_whether_it_holds(store: Store) -> None:
    assert store.commit(Commit(expect={"a": ABSENT}))
    assert not store.commit(Commit(expect={"a": 5}))
    assert store.commit(Commit())


def test_deleting_takes_away_and_what_is_not_there_is_no_error(store: Store) -> None:
    store.commit(Commit(put={"a": b"1", "b": b"2"}))
    assert store.commit(Commit(delete=["a", "never"]))
    assert [key for key, _ in store.scan("")] == ["b"]


def test_a_key_that_is_put_and_deleted_is_put(store: Store) -> None:
    store.commit(Commit(put={"a": b"1"}, delete=["a"]))
    assert value_of(store, "a") == b"1"


def test_a_commit_that_is_not_durable_is_seen_by_every_other(open_again: Opener) -> None:
    first, second = open_again(), open_again()
    assert first.commit(Commit(put={"a": b"1"}, is_durable=False))
    assert value_of(second, "a") == b"1"


def test_what_is_left_is_put_before_what_comes_later_where_nothing_stands_against_it(store: Store) -> None:
    store.leave({"a": b"1", "b": b"1"}, ["c"])
    store.leave({"d": b"2", "c": b"2"}, ["a"])
    assert store.commit(Commit(put={"e": b"3"}))
    assert [value_of(store, key) for key in "abcde"] == [b"1", b"1", None, None, b"3"]


def test_a_document_that_is_there_stands_against_what_is_left(open_again: Opener) -> None:
    first, second = open_again(), open_again()
    second.commit(Commit(put={"gone": b"1", "a": b"1"}))
    second.commit(Commit(put={"b": b"1"}, delete=["gone"]))
    first.leave({"c": b"2"}, ["gone"])
    first.leave({"d": b"2"}, ["x", "b"])
    first.leave({"a": b"2"}, ["x"])
    first.close()
    assert [value_of(second, key) for key in "abcd"] == [b"1", b"1", b"2", None]


def test_what_is_left_in_a_row_is_decided_one_after_the_other(open_again: Opener) -> None:
    first, second = open_again(), open_again()
    for n in range(40):
        first.leave({f"a{n:02}": b"1", f"b{n:02}": b"1"}, [f"b{n - 1:02}"])
    first.close()
    assert [key for key, _ in second.scan("a")] == [f"a{n:02}" for n in range(0, 40, 2)]


def test_many_documents_are_left_whole(open_again: Opener) -> None:
    first, second = open_again(), open_again()
    for n in range(300):
        first.leave({f"a{n % 7}{n:03}": b"%d" % n, f"b{n:03}": b"b"}, ["x", f"c{n}"])
    first.close()
    found = {document.value for _, document in second.scan("a")}
    assert (found, len(second.scan("b"))) == ({b"%d" % n for n in range(300)}, 300)
    assert second.commit(Commit(put={"b007": b"c"}, expect={"b007": version_of(second, "b007")}))


def test_what_is_left_is_written_before_the_store_is_closed(open_again: Opener) -> None:
    first, second = open_again(), open_again()
    for key in "abcdef":
        first.leave({key: b"1"}, [key])
    first.close()
    assert [key for key, _ in second.scan("")] == list("abcdef")


def test_a_scan_is_in_the_order_of_utf8_bytes(store: Store) -> None:
    names = ["p/", "p/B", "p/a", "p/a/b", "p/a0", "p/z", "p/\x7f", "p/ä", "p/\uffff", "p/🧀"]
    store.commit(Commit(put=dict.fromkeys([*names[::-1], "p", "o/z", "p0", "q"], b"")))
    assert [key for key, _ in store.scan("p/")] == names
    assert names == sorted(names, key=str.encode)


def test_a_scan_gives_pages_that_make_the_whole(store: Store) -> None:
    keys = [f"p/{n:02d}" for n in range(25)]
    store.commit(Commit(put=dict.fromkeys([*keys, "o", "q"], b"v")))
    pages, after = [], ""
    while page := store.scan("p/", after=after, limit=10):
        pages.append(len(page))
        after = page[-1][0]
    assert pages == [10, 10, 5]
    assert [key for key, _ in store.scan("p/", after="p/23")] == ["p/24"]
    assert store.scan("p/", after="q") == []
    assert len(store.scan("p/", after="a")) == 25


def test_a_scan_gives_the_documents_as_a_read_does(store: Store) -> None:
    store.commit(Commit(put={"p/a": b"1", "p/b": b"22"}))
    assert [document for _, document in store.scan("p/")] == store.read(["p/a", "p/b"])


def test_ids_with_separators_stay_apart(store: Store) -> None:
    keys = [key_of("log", who, what) for who, what in (("a", "b/c"), ("a/b", "c"), ("a%2Fb", "c"))]
    store.commit(Commit(put={key: str(n).encode() for n, key in enumerate(keys)}))
    assert [document.value for _, document in store.scan(prefix_of("log", "a/b"))] == [b"1"]


def test_commits_that_arrive_together_happen_in_their_order(store: Store) -> None:
    futures = [store.submit(Commit(put={"a": str(n).encode(), f"b/{n}": b""})) for n in range(500)]
    assert all(future.result(30) for future in futures)
    assert value_of(store, "a") == b"499"
    assert len(store.scan("b/")) == 500


def test_of_commits_that_arrive_together_each_sees_those_before_it(store: Store) -> None:
    made = store.submit(Commit(put={"a": b"1"}, expect={"a": ABSENT}))
    again = store.submit(Commit(put={"a": b"2"}, expect={"a": ABSENT}))
    gone = store.submit(Commit(delete=["a"]))
    anew = store.submit(Commit(put={"a": b"3"}, expect={"a": ABSENT}))
    assert [future.result(30) for future in (made, again, gone, anew)] == [True, False, True, True]
    assert value_of(store, "a") == b"3"


def test_of_commits_that_are_submitted_as_one_each_has_its_answer(store: Store) -> None:
    commits = [Commit(put={"a": b"%d" % n}, expect={"a": ABSENT}) for n in range(2)]
    assert store.submit_all([*commits, Commit(put={"b": b"3"})]).result(30) == [True, False, True]
    assert (value_of(store, "a"), value_of(store, "b")) == (b"0", b"3")


def test_of_threads_that_race_for_a_document_exactly_one_wins(open_again: Opener) -> None:
    stores = [open_again(), open_again()]
    start = threading.Barrier(16)

    def claim(n: int) -> list[bool]:
        start.wait(30)
        return [
            stores[n % 2].commit(Commit(put={f"claim/{turn}": b"%d" % n}, expect={f"claim/{turn}": ABSENT}))
            for turn in range(20)
        ]

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(claim, range(16)))
    for turn in range(20):
        (winner,) = [n for n, won in enumerate(outcomes) if won[turn]]
        assert value_of(stores[0], f"claim/{turn}") == b"%d" % winner


def test_counting_up_by_expectation_loses_nothing(open_again: Opener) -> None:
    stores = [open_again(), open_again()]

    def count(store: Store) -> None:
        for _ in range(25):
            while True:
                (document,) = store.read(["n"])
                seen, version = (int(document.value), document.version) if document else (0, ABSENT)
                if store.commit(Commit(put={"n": b"%d" % (seen + 1)}, expect={"n": version})):
                    break

    with ThreadPoolExecutor(4) as pool:
        done, _ = wait([pool.submit(count, stores[n % 2]) for n in range(4)])
    assert [each.exception() for each in done] == [None] * 4
    assert value_of(stores[0], "n") == b"100"


def test_a_tally_grows_by_what_is_added_and_gets_a_new_version(store: Store) -> None:
    assert store.commit(Commit(add={"n": Addition((5,))}))
    first = version_of(store, "n")
    assert store.commit(Commit(add={"n": Addition((-7, 3))}))
    assert value_of(store, "n") == b"-2 3"
    assert version_of(store, "n") > first


def test_great_numbers_are_added_to_the_last_digit(store: Store) -> None:
    store.commit(Commit(add={"n": Addition((2**53 - 2,))}))
    store.commit(Commit(add={"n": Addition((1,))}))
    assert value_of(store, "n") == b"%d" % (2**53 - 1)


def test_nothing_of_a_commit_happens_when_it_would_pass_a_limit(store: Store) -> None:
    assert store.commit(Commit(add={"n": Addition((4, 5), at_most=9)}))
    assert not store.commit(Commit(put={"a": b"1"}, add={"m": Addition((1,)), "n": Addition((1,), at_most=9)}))
    assert [value_of(store, key) for key in "amn"] == [None, None, b"4 5"]
    assert store.commit(Commit(put={"a": b"1"}, add={"n": Addition((1, -1), at_most=9)}))
    assert [value_of(store, key) for key in "an"] == [b"1", b"5 4"]


def test_a_tally_is_not_added_to_when_an_expectation_fails(store: Store) -> None:
    assert not store.commit(Commit(add={"n": Addition((1,))}, expect={"a": 5}))
    assert value_of(store, "n") is None


def test_a_tally_that_was_deleted_begins_anew_also_within_one_batch(store: Store) -> None:
    futures = [
        store.submit(Commit(add={"n": Addition((3,))})),
        store.submit(Commit(delete=["n"])),
        store.submit(Commit(add={"n": Addition((4,), at_most=4)})),
        store.submit(Commit(add={"n": Addition((1,), at_most=4)})),
        store.submit(Commit(put={"n": b"10 1"})),
        store.submit(Commit(add={"n": Addition((0, 1))})),
    ]
    assert [future.result(30) for future in futures] == [True, True, True, False, True, True]
    assert value_of(store, "n") == b"10 2"


def test_adding_to_what_the_same_commit_puts_or_deletes_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="same commit"):
        store.submit(Commit(put={"n": b"1"}, add={"n": Addition((1,))}))
    with pytest.raises(ValueError, match="same commit"):
        store.submit(Commit(delete=["n"], add={"n": Addition((1,))}))


def test_threads_that_add_at_once_lose_nothing_and_pass_no_limit(open_again: Opener) -> None:
    stores = [open_again(), open_again()]

    def add(n: int) -> int:
        return sum(stores[n % 2].commit(Commit(add={"n": Addition((3,), at_most=100)})) for _ in range(10))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(add, range(8))) == 33
    assert value_of(stores[0], "n") == b"99"


def test_readers_see_a_commit_whole_or_not_at_all(open_again: Opener) -> None:
    writer, reader = open_again(), open_again()
    keys = [f"k/{n}" for n in range(700)]
    torn: list[set[bytes]] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            values = {each.value for each in reader.read(keys) if each}
            if len(values) > 1:
                torn.append(values)

    thread = threading.Thread(target=look)
    thread.start()
    for turn in range(15):
        writer.commit(Commit(put=dict.fromkeys(keys, b"%d" % turn), is_durable=False))
    is_over.set()
    thread.join()
    assert torn == []


def test_what_was_submitted_before_closing_happens(open_again: Opener) -> None:
    store = open_again()
    futures = [store.submit(Commit(put={f"a/{n}": b"1"})) for n in range(50)]
    store.close()
    assert all(future.result(0) for future in futures)
    assert len(open_again().scan("a/")) == 50


def test_a_closed_store_says_so(open_again: Opener) -> None:
    store = open_again()
    store.commit(Commit(put={"a": b"1"}))
    store.close()
    with pytest.raises(StateUnavailable, match="closed"):
        store.read(["a"])
    with pytest.raises(StateUnavailable, match="closed"):
        store.commit(Commit(put={"a": b"2"}))


def test_the_room_it_takes_grows_with_what_is_in_it(store: Store) -> None:
    store.commit(Commit(put={"a": b""}))
    before = store.n_bytes()
    store.commit(Commit(put={"b": b"x" * 1_000_000}))
    assert store.n_bytes() >= before + 900_000


def test_scrubbing_changes_nothing_that_is_there(store: Store) -> None:
    store.commit(Commit(put={"a": b"1", "b": b"2"}))
    store.commit(Commit(delete=["b"]))
    before = store.read(["a", "b"])
    store.scrub()
    assert store.read(["a", "b"]) == before
    assert store.commit(Commit(put={"a": b"3"}, expect={"a": version_of(store, "a")}))


KEYS = st.sampled_from(["a", "a/", "a/b", "a/\x00", "b", "ä", "é/🧀"])
STEPS = st.tuples(
    st.dictionaries(KEYS, st.binary(max_size=3), max_size=3),
    st.sets(KEYS, max_size=3),
    st.dictionaries(KEYS, st.sampled_from(["as read", "absent", "old"]), max_size=2),
    st.booleans(),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(STEPS, max_size=12), prefix=st.sampled_from(["", "a", "a/", "ä", "é/"]))
def test_any_commits_leave_what_a_dictionary_would_hold(
    store: Store, steps: list[tuple[dict[str, bytes], set[str], dict[str, str], bool]], prefix: str
) -> None:
    store.commit(Commit(delete=[key for key, _ in store.scan("")]))
    model: dict[str, bytes] = {}
    for put, delete, expect, is_durable in steps:
        found = {key: version_of(store, key) for key in expect}
        wanted = {key: {"as read": found[key], "absent": ABSENT, "old": 3}[kind] for key, kind in expect.items()}
        holds = all(found[key] == wanted[key] for key in wanted)
        assert store.commit(Commit(put, delete, wanted, is_durable)) is holds
        if holds:
            model = {key: value for key, value in model.items() if key not in delete} | put
    expected = sorted((key.encode(), value) for key, value in model.items() if key.startswith(prefix))
    assert [(key.encode(), document.value) for key, document in store.scan(prefix)] == expected
