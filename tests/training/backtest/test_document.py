"""The report: what stands on top, that its parts agree in text, Markdown and HTML, and that it stands alone."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from training.backtest.document import Document, document_of, number
from training.backtest.goals import Goal
from training.backtest.observation import OURS, Fact, Findings, Observation, Table
from training.backtest.pages import html, markdown, text, write_pages
from training.backtest.pictures import Line, calibration, forest
from training.backtest.run import Backtest
from training.backtest.statistics import results_of
from training.costs import Cost
from training.intervals import Interval
from training.plots import reliability_curve

GOALS = {
    ("slots", "precision@2"): Goal("slots", "precision@2", at_least=0.6, tried="longer half-lives: no gain"),
    ("slots", "ECE"): Goal("slots", "ECE", at_most=0.9),
    ("gone", "recall@10"): Goal("gone", "recall@10", at_least=0.1),
}


def findings(seed: int) -> Findings:
    rng = np.random.default_rng(seed)
    n, customers = 40, np.arange(40)
    chance = rng.random(n)
    rankers = {
        OURS: 0.4 + 0.1 * rng.random(n),
        "P-TopFreq": 0.3 + 0.1 * rng.random(n),
        "TIFU-KNN <tuned>": 0.35 + 0.1 * rng.random(n),
    }
    return Findings(
        [
            Observation("slots", "precision@2", rankers, customers),
            Observation(
                "slots",
                "ECE",
                {OURS: chance},
                customers,
                "ece",
                False,
                (rng.random(n) < chance).astype(np.float64),
                bins=5,
            ),
        ],
        [Fact("slots", "not served", {OURS: 0.02})],
        [Table("slots", "shown most", ("what", "share"), (("milk | cream", "3 %"),))],
        ("no hours in this source",),
    )


@pytest.fixture(scope="module")
def document() -> Document:
    results = results_of("Repeat", {"2017-11-06": findings(1), "2017-12-04": findings(2)})
    costs = (Cost("fit x", 1.0, 2.0, 3.0), Cost("fit x", 1.0, 2.0, 5.0))
    backtest = Backtest(tuple(results), ("value: no amounts",), ("2017-11-06", "2017-12-04"), costs)
    return document_of("Backtest of a shop", backtest, GOALS)


def test_each_task_has_a_verdict_on_top(document: Document) -> None:
    assert "Goals: 1 of 2 met." in document.lines
    assert (document.sections[0].verdict, document.sections[0].kind) == ("1 of 2 goals met", "missed")
    shown = {row[1]: row for row in document.overview.rows}
    assert shown["precision@2"][2].endswith("P-TopFreq")
    assert shown["precision@2"][3].endswith("TIFU-KNN <tuned>")
    assert shown["precision@2"][-2] == "≥ 0.6"
    assert shown["precision@2"][-1].startswith("missed by 0.1")
    assert shown["ECE"][5].startswith("a perfect model")


def test_the_best_peer_is_marked_and_each_peer_has_a_difference(document: Document) -> None:
    peers = document.sections[0].grids[0]
    cells = {row[0]: row[1] for row in peers.rows}
    assert list(cells) == [OURS, "P-TopFreq", "TIFU-KNN <tuned>"]
    assert " * (+" in cells["TIFU-KNN <tuned>"]
    assert " * " not in cells["P-TopFreq"]


def test_each_cutoff_is_shown_beside_the_pool(document: Document) -> None:
    (by_cutoff,) = [grid for grid in document.sections[0].grids if grid.caption.startswith("Cutoff by cutoff")]
    assert by_cutoff.header == ("metric", "against", "2017-11-06", "2017-12-04")


def test_what_was_left_out_tried_and_took_is_said(document: Document) -> None:
    said = text(document)
    for each in (
        "value: no amounts",
        "gone, recall@10: its goal was not measured",
        "longer half-lives: no gain",
        "no hours",
    ):
        assert each in said
    took = document.sections[-1].grids[0].rows
    assert took == (("fit x", "2.0", "4.0", "5"), ("all", "2.0", "4.0", "5"))


def test_all_three_forms_show_every_row(document: Document) -> None:
    shown = (text(document), markdown(document), html(document))
    for grid in (document.overview, *(grid for section in document.sections for grid in section.grids)):
        for cell in (cell for row in grid.rows for cell in row if cell.replace(".", "").isdigit()):
            assert all(cell in each for each in shown)


class _Checked(HTMLParser):
    """Whether tags nest, which ids there are, and what is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name in ("href", "src") and value]
        assert "src" not in found
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing stays open."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(document: Document) -> None:
    page = html(document)
    checked = _Checked()
    checked.feed(page)
    assert checked.open == []
    assert len(set(checked.ids)) == len(checked.ids)
    assert {each.removeprefix("#") for each in checked.links} <= set(checked.ids)
    assert "TIFU-KNN &lt;tuned&gt;" in page
    assert "<tuned>" not in page
    assert "prefers-color-scheme:dark" in page
    assert not re.search(r"(?:src|href)=\"http", page)
    assert page.count("<svg") == len(document.all_pictures) >= 3


def test_the_pages_are_written_with_the_pictures_beside(document: Document, tmp_path: Path) -> None:
    write_pages(document, tmp_path)
    written = (tmp_path / "report.md").read_text()
    for picture in re.findall(r"\((\S+\.svg)\)", written):
        assert (tmp_path / picture).read_text().startswith("<svg")
    assert "milk ∣ cream" in written
    assert (tmp_path / "report.html").exists()


def test_an_empty_backtest_is_a_report_too() -> None:
    nothing = document_of("Backtest", Backtest((), ("all: too short",), ()), {})
    assert "none, the history is too short" in text(nothing)
    assert "all: too short" in markdown(nothing)
    assert html(nothing).startswith("<!doctype html>")


def test_a_forest_says_which_differences_are_sure() -> None:
    lines = [
        Line("better", Interval(2.0, 1.0, 3.0)),
        Line("worse", Interval(-2.0, -3.0, -1.0)),
        Line("open", Interval(0.5, -1.0, 2.0)),
        Line("unknown", Interval(float("nan"), float("nan"), float("nan"))),
    ]
    assert [line.kind for line in lines[:3]] == ["good", "bad", "open"]
    drawn = forest("all", lines, "%")
    assert drawn.count("<circle") == 3
    assert "unknown" not in drawn
    assert "NaN" not in forest("none", [], "%")


def test_a_calibration_curve_draws_every_bin() -> None:
    curve = reliability_curve([0.1, 0.4, 0.6, 0.9], [0, 0, 1, 1], bins=4)
    assert calibration("said", {"ECE": curve}).count("<circle") == 4
    assert "<svg" in calibration("nothing", {"ECE": reliability_curve([], [], bins=4)})


def test_a_number_keeps_four_digits_that_matter() -> None:
    assert [number(each) for each in (0.12345, 1.5, 12.345, 1234.56, -0.5)] == [
        "0.1235",
        "1.5000",
        "12.35",
        "1,234.6",
        "-0.5000",
    ]
