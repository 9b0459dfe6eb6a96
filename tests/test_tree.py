"""Guards the tree itself: its names, what the service may carry, and that what the documents name is there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("features", "serving", "training")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PRINTS = {"training/cli.py", "training/cli_keys.py", "training/cli_retrain.py", "training/demo.py"}
FORBIDDEN_IN_SERVICE = ("pandas", "mlflow", "lightgbm", "duckdb", "sklearn", "implicit", "matplotlib", "pandera")
MAX_MODULE_LINES = 400
# Modules without a test file of their own, by the file whose subject they are a part of.
TESTED_TOGETHER = {
    "tests/features/test_conform.py": ("features/quarantine",),
    "tests/training/test_tune_job.py": ("training/tuning/outcome", "training/tuning/subject"),
    "tests/serving/test_engine.py": (
        "serving/answers",
        "serving/challenge_desk",
        "serving/decisioning/challenge",
        "serving/decisioning/challenge_parts",
        "serving/decisioning/slate",
        "serving/decisioning/slate_parts",
    ),
    "tests/contracts/test_http.py": ("serving/api_openapi",),
    "tests/serving/test_action_desk.py": ("serving/action_case", "serving/action_content"),
    "tests/serving/test_http_kept.py": (
        "serving/api_kept",
        "serving/decide",
        "serving/http_decisions",
        "serving/http_reads",
        "serving/kept",
        "serving/records",
    ),
    "tests/serving/test_http_writes.py": ("serving/api_writes", "serving/http_routes"),
    "tests/serving/state/test_shop_compacting.py": ("serving/state/compacting",),
    "tests/serving/state/test_shop_decisions.py": ("serving/state/deciding",),
    "tests/serving/state/test_shop_events.py": ("serving/state/log",),
    "tests/serving/state/test_shop_offers.py": ("serving/state/looking", "serving/state/promising"),
    "tests/training/backtest/test_challenge_task.py": (
        "training/backtest/challenge_measures",
        "training/backtest/challenge_week",
    ),
    "tests/training/simulation/test_fitting.py": ("training/simulation/sold",),
    "tests/test_whole_way.py": (
        "training/assembly",
        "training/challenge_judging",
        "training/challenge_weeks",
        "training/evaluate",
        "training/judging",
        "training/learners",
        "training/publish",
        "training/publish_catalogue",
        "training/recipe",
        "training/recording",
        "training/registered_model",
        "training/report",
    ),
}
MAX_FUNCTION_LINES = 60


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports_of(path: Path) -> set[str]:
    """The modules that a file imports anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module}
    return found


def test_the_three_packages_are_flat_and_have_these_names() -> None:
    build = project()["tool"]["hatch"]["build"]["targets"]["wheel"]  # type: ignore[index] # TOML
    assert tuple(build["packages"]) == PACKAGES
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found == {*PACKAGES, "tests"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_keeps_to_the_sizes(path: Path) -> None:
    lines = path.read_text("utf-8").count("\n")
    functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [node.name for node in functions if (node.end_lineno or 0) - node.lineno > MAX_FUNCTION_LINES]
    assert lines <= MAX_MODULE_LINES
    assert long == []


def test_nothing_pickles() -> None:
    picklers = {"pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"}
    assert [name_of(path) for path in MODULES if imports_of(path) & picklers] == []


def test_only_the_command_line_prints() -> None:
    prints = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert prints <= PRINTS


def test_the_service_and_the_command_import_no_training_library() -> None:
    code = "import sys, serving.service, serving.batch, training.cli; print(*sys.modules, sep='\\n')"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert sorted(set(run.stdout.split()) & set(FORBIDDEN_IN_SERVICE)) == []


def test_the_locks_pin_by_hash_and_name_no_address() -> None:
    for lock in sorted((ROOT / "requirements").glob("*.lock")):
        text = lock.read_text("utf-8")
        assert "://" not in text
        assert all("--hash=sha256:" in block for block in re.split(r"\n(?=[a-z0-9])", text.strip()))


def test_the_serving_lock_is_part_of_the_other_and_has_no_training_library() -> None:
    pins = {
        name: set(re.findall(r"^([a-z0-9][\w.-]*==[^ ;]+)", (ROOT / "requirements" / f"{name}.lock").read_text(), re.M))
        for name in ("serving", "all")
    }
    assert pins["serving"] <= pins["all"]
    names = {pin.split("==")[0] for pin in pins["serving"]}
    assert names.isdisjoint({"pandas", "mlflow", "mlflow-skinny", "lightgbm", "duckdb", "scikit-learn", "implicit"})


def test_make_names_what_the_documents_call_and_helps_with_each() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (\S+)", makefile, flags=re.MULTILINE))
    called = {
        target
        for document in DOCUMENTS
        for target in re.findall(r"(?:^|`|&& )make ([a-z-]+)", document.read_text("utf-8"), flags=re.MULTILINE)
    }
    wanted = "setup data features train evaluate promote serve mlflow demo batch notebooks bench"
    wanted += " fmt lint types arch test check clean"
    assert phony == targets
    assert set(wanted.split()) <= targets
    assert called <= targets


def test_the_documents_link_to_what_is_there() -> None:
    broken = [
        f"{name_of(document)}: {link}"
        for document in DOCUMENTS
        for link in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", document.read_text("utf-8"))
        if not (document.parent / link).exists()
    ]
    assert broken == []


def test_every_module_has_a_test_that_names_it() -> None:
    """By a file `test_<module>.py`, by that of what it is a part of (`conform` for `conform_time`), or by import."""
    files = sorted((ROOT / "tests").rglob("*.py"))
    named = {path.stem.removeprefix("test_") for path in files if path.stem.startswith("test_")}
    imported = {module for path in files for module in imported_names(path)}
    together = {f"{module}.py" for modules in TESTED_TOGETHER.values() for module in modules}
    untested = [
        name_of(path)
        for path in MODULES
        if path.stem != "__init__"
        and name_of(path) not in together
        and not any(path.stem == name or path.stem.startswith(f"{name}_") for name in named)
        and name_of(path).removesuffix(".py").replace("/", ".") not in imported
    ]
    assert untested == []
    assert all((ROOT / file).is_file() for file in TESTED_TOGETHER)


def imported_names(path: Path) -> set[str]:
    """The modules and names that a file imports, dotted."""
    found = imports_of(path)
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_nothing_committed_names_this_machine_or_an_address_of_a_registry() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    signs = re.compile("|".join(("/wo" + "rk/", "/ro" + "ot/", "py" + "pi.org", "files.python" + "hosted")))
    found = [
        name
        for name in listed.stdout.split("\n")
        if name and (ROOT / name).is_file() and signs.search((ROOT / name).read_text("utf-8", errors="replace"))
    ]
    assert found == []
