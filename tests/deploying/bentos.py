"""A Bento, as `make bento` builds it, and a clean environment of its own requirements."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def run(*command: object, cwd: Path = Path("/"), **environment: str) -> str:
    """Return what a command says; AssertionError with its complaint where it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build_bento(store: Path) -> Path:
    """Return the folder of the Bento that is built of this checkout into a store of its own."""
    command = (BIN / "bentoml", "build", "--output", "tag", ROOT)
    path = f"{BIN}:{os.environ['PATH']}"  # it looks for uv there
    said = run(*command, cwd=ROOT, BENTOML_HOME=str(store), BENTOML_DO_NOT_TRACK="True", PATH=path)
    name, version = said.strip().removeprefix("__tag__:").split(":")
    return store / "bentos" / name / version


def clean_environment(folder: Path, lock: Path) -> Path:
    """Return the `bin` folder of an environment with what a lock names, by its hashes, and nothing else."""
    python = folder / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    install = (BIN / "uv", "pip", "install", "--quiet", "--python", python, "--no-deps", "--require-hashes")
    run(*install, "-r", lock)
    return python.parent
