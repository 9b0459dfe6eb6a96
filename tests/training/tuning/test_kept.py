from __future__ import annotations

from pathlib import Path

import numpy as np

from training.sums import CustomerSums
from training.tuning.kept import forget_but, keep, kept
from training.tuning.tunable import Reached, Term

REACHED = [
    Reached((Term(CustomerSums.of([1.0, 2.0], [7, 3], base=0.5)), Term(CustomerSums.whole(4.0), -0.5, True))),
    Reached((Term(CustomerSums.of([0.25], [9])), Term(CustomerSums.whole(1.0), -0.5, True))),
]


def test_what_a_trial_reached_comes_back(tmp_path: Path) -> None:
    keep(tmp_path, 4, REACHED)
    found = kept(tmp_path, 4)
    assert found is not None
    assert [each.value for each in found] == [each.value for each in REACHED]
    assert found[0].terms[0].sums.customers.tolist() == [3, 7]
    assert found[0].terms[1].is_squared
    assert np.isfinite(found[0].value)


def test_nothing_is_known_of_a_trial_that_was_not_kept_or_whose_file_is_torn(tmp_path: Path) -> None:
    assert kept(tmp_path / "nowhere", 1) is None
    keep(tmp_path, 1, REACHED)
    file = tmp_path / "1.npz"
    file.write_bytes(file.read_bytes()[:100])
    assert kept(tmp_path, 1) is None


def test_only_those_asked_for_stay(tmp_path: Path) -> None:
    for number in range(4):
        keep(tmp_path, number, REACHED)
    (tmp_path / "9.tmp").write_bytes(b"half")
    forget_but(tmp_path, (0, 2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.npz", "2.npz"]
