"""Erasing a customer: out of every file under a home and every document of the state, with a receipt."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.bundle import open_bundle, write_bundle
from serving.champion import read_champion, write_champion
from serving.erasing import Asked, erase, erase_asked, erase_identity, erase_pending
from serving.erasing_files import erase_from_home
from serving.erasing_tables import Forgotten
from serving.errors import ErasureError, SettingsError
from serving.home_lock import working_in
from serving.outputs import known_outputs, remember_output
from serving.renamed import version_now
from serving.state.decisions import DecisionPart, DecisionRecord
from serving.state.events import Event, EventType
from serving.state.merging import Identity
from serving.state.shop import State
from serving.state_home import open_state
from tests.places import places_with
from tests.serving.tiny import tiny_contents

ANNA, GUEST, EMAIL = "anna", "guest-of-anna", "anna@example.com"
NOW_US = 10_000_000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that holds Anna everywhere: two bundles, tables, quarantine, outputs, reports, MLflow."""
    home = tmp_path / "home"
    versions = [write_bundle(tiny_contents(policy=policy), home / "bundles") for policy in ({}, {"consent.sms": True})]
    write_champion(home, versions[0])
    for version in versions:
        _write(home / "reports" / version / "judgement.json", json.dumps({"passes": True}))
    _write_tables(home / "features" / "tables" / "d1", {ANNA: 0, "ben": 1}, {"anna-shop": 0})
    _write_tables(home / "features" / "tables" / "d2", {"ben": 0}, {})
    for digest in ("d1", "d2", "orphan"):
        _write(home / "features" / "groups" / digest / "customers" / "duckdb-1.parquet", "rows")
    _write_parquet(
        home / "quarantine" / "transactions.parquet", customer_id=[ANNA, "ben", None], line=[None, None, f'"{ANNA}",x']
    )
    _write_parquet(
        home / "quarantine" / "identities.parquet", customer_id=[None], kind=["email"], value=[EMAIL.upper()]
    )
    _write_parquet(tmp_path / "out" / "scores.parquet", customer_id=[ANNA, ANNA, "ben"], rank=[1, 2, 1])
    remember_output(home, tmp_path / "out" / "scores.parquet")
    _write(home / "reports" / "notes.md", f"As {EMAIL} said.")
    _write(
        home / "mlartifacts" / "t.json", json.dumps({"columns": ["customer_id", "p"], "data": [[ANNA, 1], ["ben", 2]]})
    )
    _write(home / "mlartifacts" / "t.csv", f"customer_id,p\n{ANNA},1\nben,2\n")
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        database.execute("create table tags (key varchar, value varchar, run_uuid varchar)")
        database.execute("create table runs (run_uuid varchar primary key, name varchar)")
        database.execute("insert into tags values ('bundle', ?, '1'), ('note', ?, '1')", (versions[0], f"for {EMAIL}"))
        database.execute("insert into runs values ('1', ?)", (f"habit {versions[0]}",))
        database.commit()
    return home


@pytest.fixture
def state(home: Path) -> Iterator[State]:
    with closing(open_state("file", home)) as opened:
        opened.state.accept(
            [_view("e1", ANNA, 1), _view("e2", GUEST, 2), _view("e3", "ben", 3)],
            may_keep=lambda live: True, kind_of=lambda product: None,
        )  # fmt: skip
        both = [Identity(ANNA, "email", EMAIL), Identity(GUEST, "email", EMAIL)]
        opened.state.link(both, is_loyal=lambda each: each == ANNA, now_us=4)
        opened.state.record(
            DecisionRecord("d1", "challenge", 5, "v", (DecisionPart(ANNA), DecisionPart("ben")))
        ).result()
        yield opened.state


def _view(event_id: str, customer_id: str, at_us: int) -> Event:
    return Event(event_id, customer_id, EventType.VIEW, at_us, at_us, product_id="milk-1")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_parquet(path: Path, **columns: list[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, compression="zstd")


def _write_tables(folder: Path, customers: dict[str, int], aliases: dict[str, int]) -> None:
    _write_parquet(folder / "customers.parquet", customer_id=list(customers), customer_row=list(customers.values()))
    aliases_table = pa.table(
        {"customer_id": pa.array(aliases, pa.string()), "customer_row": pa.array(aliases.values(), pa.int32())}
    )
    pq.write_table(aliases_table, folder / "aliases.parquet")
    _write_parquet(folder / "identities.parquet", customer_row=[0], kind=["card"], value_hash=["card:ff"])


def quiet(_: str) -> None:
    return None


def run(home: Path, state: State, *customer_ids: str) -> str:
    return erase(home, state, customer_ids, NOW_US, quiet).text


def test_nothing_under_the_home_holds_the_customer_afterwards(home: Path, state: State) -> None:
    traces = [ANNA, GUEST, EMAIL]
    before = places_with([home, home.parent / "out"], traces)
    assert {place.split("/")[0] for place in before} >= {
        "bundles",
        "features",
        "quarantine",
        "reports",
        "mlartifacts",
        "state",
    }
    receipt = erase_identity(home, state, "email", EMAIL, now_us=NOW_US, say=quiet)
    assert receipt is not None
    assert places_with([home, home.parent / "out"], traces) == []


def test_the_receipt_counts_what_was_found_and_names_nobody(home: Path, state: State) -> None:
    old = read_champion(home)
    text = run(home, state, GUEST)
    counted = {line.split("   ")[-1].strip(): line.split()[0] for line in text.splitlines() if line.startswith(" ")}
    assert counted["events of the state"] == "2"
    assert counted["decisions of the state"] == "1"
    assert counted["identities of the state"] == "1"
    assert counted["bundles written anew"] == "2"
    assert counted["feature tables dropped"] == "1"
    assert counted["rows of batch outputs"] == "2"
    assert f"{old} is now {read_champion(home)}" in text
    assert ANNA not in text
    assert GUEST not in text


def test_the_others_stay(home: Path, state: State) -> None:
    run(home, state, ANNA)
    assert pq.read_table(home / "quarantine" / "transactions.parquet")["customer_id"].to_pylist() == ["ben"]
    assert pq.read_table(known_outputs(home)[0])["customer_id"].to_pylist() == ["ben"]
    assert [event.customer_id for event in state.log()] == ["ben"]
    decision = state.decision("d1")
    assert decision is not None
    assert ([part.customer_id for part in decision.record.parts], decision.n_erased) == (["ben"], 1)
    assert (home / "features" / "tables" / "d2" / "customers.parquet").is_file()
    assert (home / "features" / "groups" / "d2").is_dir()
    assert not (home / "features" / "groups" / "orphan").exists()


def test_every_bundle_is_written_anew_and_the_champion_follows(home: Path, state: State) -> None:
    old = {path.name for path in (home / "bundles").iterdir()}
    run(home, state, ANNA)
    new = {path.name for path in (home / "bundles").iterdir()}
    assert len(new) == 2
    assert not old & new
    for version in new:
        assert ANNA not in list(open_bundle(home / "bundles" / version).customers.id)
        assert (home / "reports" / version / "judgement.json").is_file()
    champion = read_champion(home)
    assert champion in new
    assert {version_now(home, each) for each in old} == new
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        assert database.execute("select value from tags where key = 'bundle'").fetchall() == [(champion,)]
        assert database.execute("select name from runs").fetchall() == [(f"habit {champion}",)]


def test_ids_that_the_tables_know_as_one_are_erased_together(home: Path, state: State) -> None:
    run(home, state, "anna-shop")
    assert ANNA not in list(open_bundle(home / "bundles" / str(read_champion(home))).customers.id)
    erased = state.erased()
    assert [erased.moment_us(each) for each in (ANNA, GUEST, "anna-shop", "ben")] == [NOW_US, NOW_US, NOW_US, None]
    assert erased.pending == {}


def test_an_unknown_customer_gets_a_receipt_and_is_remembered_as_erased(home: Path, state: State) -> None:
    before = places_with([home / "bundles", home / "features"], ["ben"])
    assert "nothing was found" in run(home, state, "nobody")
    assert state.erased().moment_us("nobody") == NOW_US
    assert places_with([home / "bundles", home / "features"], ["ben"]) == before


def test_whoever_asked_over_the_api_is_erased_in_one_pass_up_to_that_moment(home: Path, state: State) -> None:
    state.forget(ANNA, 7)
    state.forget("ben", 8)
    state.accept([_view("e9", ANNA, 9)], may_keep=lambda live: True, kind_of=lambda product: None)
    assert erase_pending(home, state, quiet) == 3
    assert list(open_bundle(home / "bundles" / str(read_champion(home))).customers.id)
    assert [(event.customer_id, event.at_us) for event in state.log()] == [(ANNA, 9)]
    assert [state.erased().moment_us(each) for each in (ANNA, "ben")] == [7, 8]
    assert erase_pending(home, state, quiet) == 0


@pytest.mark.parametrize(
    "step", ["write_champion", "_remove", "_drop_tables", "_rewrite", "erase_from_files", "erase_from_database"]
)
def test_cut_off_anywhere_it_is_finished_by_running_it_again(
    home: Path, state: State, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(f"serving.erasing_files.{step}", _fail)
        with suppress(KeyboardInterrupt):
            run(home, state, ANNA)
            pytest.fail("it was not cut off")
    assert state.erased().pending
    assert open_bundle(home / "bundles" / str(read_champion(home)))
    assert erase_pending(home, state, quiet) == 3
    assert places_with([home / "bundles", home / "features", home / "state"], [ANNA, GUEST]) == []
    assert len(list((home / "bundles").iterdir())) == 2


def _fail(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_bundle_that_cannot_be_read_goes_where_it_may_name_them(home: Path, state: State) -> None:
    champion = str(read_champion(home))
    other = next(path for path in (home / "bundles").iterdir() if path.name != champion)
    (other / "manifest.json").write_text("{}", encoding="utf-8")
    assert "bundles removed" in run(home, state, ANNA)
    assert not other.exists()


def test_a_run_that_reads_is_waited_for(home: Path, state: State) -> None:
    said: list[str] = []

    def leave(text: str) -> None:
        said.append(text)
        assert state.live("ben").is_erased  # not only once it was waited
        reading.close()

    reading = working_in(home)
    reading.__enter__()
    reading.close = lambda: reading.__exit__(None, None, None)  # type: ignore[attr-defined] # as a file has it
    erase(home, state, ["ben"], NOW_US, leave)
    assert said[0].startswith("waiting")


def test_what_was_asked_must_make_sense(home: Path) -> None:
    for identity in ("email", "email:", ":x"):
        with pytest.raises(SettingsError, match="kind and a value"):
            erase_asked(home, "file", Asked(None, identity), quiet)
    assert "nobody is known" in erase_asked(home, "file", Asked(None, "email:x@y.zz"), quiet)


def test_what_cannot_be_rewritten_is_said_in_one_line_and_finished_later(
    home: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("serving.erasing_files.erase_from_files", _refuse)
        with pytest.raises(ErasureError, match="No space left on device.*run the same"):
            run(home, state, ANNA)
    assert set(state.erased().pending) == {ANNA, GUEST, "anna-shop"}
    assert "1 further ids were erased" in erase_asked(home, "file", Asked(ANNA), quiet)
    assert state.erased().pending == {}


def _refuse(*_: object) -> int:
    raise OSError(28, "No space left on device")


def test_an_empty_id_is_nobodys(home: Path) -> None:
    with pytest.raises(SettingsError, match="CUSTOMER_ID"):
        erase_asked(home, "file", Asked(" "), quiet)


def test_with_a_clock_that_was_set_the_latest_that_it_told_is_the_present(home: Path, state: State) -> None:
    asked = Asked("ben", now="1970-01-01T00:00:00.000001Z")
    assert "erased      1970-01-01T00:00:00.000005Z" in erase_asked(home, "file", asked, quiet)


def test_short_ids_are_not_looked_for_in_texts(home: Path, state: State) -> None:
    _write(home / "reports" / "numbers.md", "ben had 17 of 17")
    erase_from_home(home, Forgotten(frozenset({"17"}), lambda kind, value: False))
    assert (home / "reports" / "numbers.md").read_text(encoding="utf-8") == "ben had 17 of 17"


def test_what_models_showed_by_customer_and_past_bundles_are_dropped(home: Path, state: State) -> None:
    _write(home / "results" / "churn" / "0a1b.npz", "numbers by customer")
    _write(home / "backtest" / "c2d3" / "manifest.json", "{}")
    done = erase_from_home(home, Forgotten(frozenset({"ben"}), lambda kind, value: False))
    assert done.counts["kept results dropped"] == 2
    assert not (home / "results").exists()
    assert not (home / "backtest").exists()
