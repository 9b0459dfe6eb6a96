"""The door to Optuna: the same trials each time, whatever happened in between."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training.tuning.quadratic import ABOUT, SPACE, run
from training.errors import TuningError
from training.tune import open_study
from training.tuning.trials import Found

N_TRIALS = 14


def tried(path: Path, n: int = N_TRIALS, seed: int = 3) -> Found:
    with open_study(path, SPACE, {**ABOUT, "seed": seed}) as study:
        run(study, n)
        return study.found()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return tried(tmp_path_factory.mktemp("studies") / "a.journal")


def test_what_ships_is_tried_first_and_the_best_is_never_worse(uninterrupted: Found) -> None:
    assert uninterrupted.trials[0].settings == {"x": 8.0, "trees.n": 50, "kind": "a"}
    assert uninterrupted.shipped is not None
    assert uninterrupted.best is not None
    assert uninterrupted.best.value == max(each.value for each in uninterrupted.trials if each.value is not None)
    assert uninterrupted.best.value > (uninterrupted.shipped.value or 0.0)


def test_trials_that_are_worse_on_the_first_days_are_given_up(uninterrupted: Found) -> None:
    given_up = [each for each in uninterrupted.trials if each.is_pruned]
    assert given_up
    assert uninterrupted.n_pruned == len(given_up)
    assert all(len(each.by_cutoff) < 3 for each in given_up)


def test_what_matters_is_found(uninterrupted: Found) -> None:
    assert sum(uninterrupted.importance.values()) == pytest.approx(1.0)
    assert set(uninterrupted.importance) == {"x", "trees.n", "kind"}


def test_the_same_seed_tries_the_same_and_another_one_does_not(uninterrupted: Found, tmp_path: Path) -> None:
    assert tried(tmp_path / "b.journal").trials == uninterrupted.trials
    other = tried(tmp_path / "c.journal", n=3, seed=4).trials
    assert other[0] == uninterrupted.trials[0]
    assert other[1].settings != uninterrupted.trials[1].settings


def test_a_search_that_is_killed_goes_on_as_if_it_had_not_been(uninterrupted: Found, tmp_path: Path) -> None:
    path = tmp_path / "killed.journal"
    command = [sys.executable, "-m", "tests.training.tuning.quadratic", str(path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (not path.exists() or path.read_bytes().count(b'"by_cutoff"') < 5):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    n_before = path.read_bytes().count(b'"by_cutoff"')
    assert 5 <= n_before < N_TRIALS
    assert tried(path).trials == uninterrupted.trials


def test_a_last_line_that_was_cut_off_is_survived(uninterrupted: Found, tmp_path: Path) -> None:
    path = tmp_path / "torn.journal"
    tried(path, n=6)
    written = path.read_bytes()
    path.write_bytes(written + b'{"op_code":5,"worker_id"')
    assert tried(path).trials == uninterrupted.trials
    path.write_bytes(written[: -len(written.splitlines()[-1]) // 2])
    assert tried(path).trials == uninterrupted.trials


def test_a_lock_that_a_killed_process_left_does_not_stop_the_next(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    tried(path, n=1)
    path.with_name("a.journal.lock").symlink_to(path)
    started = time.monotonic()
    assert len(tried(path, n=2).trials) == 2
    assert time.monotonic() - started < 20


def test_a_trial_that_was_stopped_counts_for_nothing(uninterrupted: Found, tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    for _ in range(2):
        with open_study(path, SPACE, ABOUT) as study:
            draw = study.draw()
            study.give_up(draw)
            assert draw.number == 0
    assert tried(path, n=3).trials == uninterrupted.trials[:3]


@pytest.mark.parametrize(
    ("change", "said"), [({"data": "d2"}, "data"), ({"seed": 9}, "seed"), ({"space": []}, "space")]
)
def test_a_study_of_something_else_is_refused_and_begins_anew_when_told(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    path = tmp_path / "a.journal"
    tried(path, n=2)
    about = {**ABOUT, **change}
    with pytest.raises(TuningError, match=f"other {said} than today's: --restart"), open_study(path, SPACE, about):
        pass
    assert len(tried(path, n=2).trials) == 2
    with open_study(path, SPACE, about, restarts=True) as study:
        assert study.trials() == []


def test_two_at_once_on_one_study_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    with (
        open_study(path, SPACE, ABOUT),
        pytest.raises(TuningError, match="another process works on"),
        open_study(path, SPACE, ABOUT, restarts=True),
    ):
        pass
    assert path.exists()


def test_a_damaged_file_is_refused_and_begins_anew_when_told(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    path.write_bytes(b"what is this?\nand this?\n")
    with pytest.raises(TuningError, match="damaged.*--restart"), open_study(path, SPACE, ABOUT):
        pass
    with open_study(path, SPACE, ABOUT, restarts=True) as study:
        assert study.trials() == []


def test_a_trial_that_was_stopped_after_it_had_ended_stays(tmp_path: Path) -> None:
    with open_study(tmp_path / "a.journal", SPACE, ABOUT) as study:
        draw = study.draw()
        study.end(draw, [1.0], 0.1, is_whole=True)
        study.give_up(draw)
        assert [each.value for each in study.trials()] == [1.0]
