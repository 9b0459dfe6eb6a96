"""Pages of a bundle that are mapped beforehand cost nobody a fault."""

from __future__ import annotations

import resource
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serving import bundle_pages
from serving.bundle import Bundle
from serving.bundle_format import BundleArrays
from serving.bundle_pages import map_pages

N_VALUES = 8 << 20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pages are mapped beforehand on Linux only")


@pytest.fixture
def mapped(tmp_path: Path, tiny_bundle: Bundle) -> BundleArrays:
    """The tiny shop with one array of 32 MB, in a file."""
    path = tmp_path / "values.npy"
    np.save(path, np.zeros(N_VALUES, dtype="<f4"))
    values = np.asarray(np.lib.format.open_memmap(path, mode="r"))
    return replace(tiny_bundle, customers=replace(tiny_bundle.customers, churn=values))


def faults_of_reading(arrays: BundleArrays) -> int:
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    assert arrays.customers.churn.sum() == 0.0
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before


def test_reading_what_was_mapped_takes_no_faults(mapped: BundleArrays) -> None:
    assert map_pages(mapped)
    assert faults_of_reading(mapped) < 50


def test_reading_what_was_not_mapped_does(mapped: BundleArrays) -> None:
    assert faults_of_reading(mapped) >= 50


def test_a_bundle_is_not_mapped_beforehand_where_memory_is_short(
    mapped: BundleArrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 99999999 kB\nMemAvailable: 60000 kB\n")
    monkeypatch.setattr(bundle_pages, "_MEMINFO", tmp_path / "meminfo")
    assert not map_pages(mapped)
    (tmp_path / "meminfo").write_text("MemTotal: 99999999 kB\nMemAvailable: 600000 kB\n")
    assert map_pages(mapped)


def test_a_bundle_is_not_mapped_beforehand_where_nobody_tells_the_memory(
    tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_pages, "_MEMINFO", tmp_path / "nothing")
    assert not map_pages(tiny_bundle)


def test_arrays_without_entries_are_passed_over(tiny_bundle: Bundle) -> None:
    assert map_pages(tiny_bundle)
