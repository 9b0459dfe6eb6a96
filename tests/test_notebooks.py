"""The notebooks run on the synthetic shop, define nothing, and are kept without their outputs."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import nbformat
import pytest

from tests.conftest import SHOP_SOURCE

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
MAX_CODE_CELLS = 15
SECONDS_A_NOTEBOOK = 300
SECONDS_OF_TRAINING = 900


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_of(path: Path) -> list[str]:
    return [cell.source for cell in read(path).cells if cell.cell_type == "code"]


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_tells_a_story_and_defines_nothing(path: Path) -> None:
    cells = code_of(path)
    nodes = [node for cell in cells for node in ast.walk(ast.parse(cell.replace("%", "#")))]
    assert len(cells) < MAX_CODE_CELLS
    assert not [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    assert read(path).cells[0].cell_type == "markdown"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    code = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


@pytest.fixture(scope="module")
def home(twice_trained_home: Path) -> Path:
    """A home as a retailer's is: trained twice, and with a backtest, whose pictures are drawings (SVG), not images."""
    from training.tracking import Tracker

    with Tracker.under(twice_trained_home).run("backtest", "backtest", {}) as log:
        log.pictures({"calibration.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'})
    return twice_trained_home


@pytest.mark.slow
@pytest.mark.timeout(SECONDS_OF_TRAINING + SECONDS_A_NOTEBOOK)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient import NotebookClient

    monkeypatch.setenv("TERCET_HOME", str(home))
    monkeypatch.setenv("TERCET_SOURCE", SHOP_SOURCE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(path.parent.parent), os.environ.get("PYTHONPATH", "")]))
    client = NotebookClient(read(path), timeout=SECONDS_A_NOTEBOOK, resources={"metadata": {"path": str(path.parent)}})
    client.execute()
    errors = [out for cell in client.nb.cells for out in cell.get("outputs", []) if out.output_type == "error"]
    assert errors == []
