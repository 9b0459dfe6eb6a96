"""`tercet train --engine spark` as a whole, on a tiny shop: the bundle answers as the one trained on DuckDB does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from tests.java import need_java
from training import cli

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(2400),
]  # Spark plans each of about 60 groups for seconds

SOURCE = "synthetic:customers=40,weeks=8,seed=7"
TRAIN = "import sys; from training import cli; sys.exit(cli.run(sys.argv[1:]))"
UNCOMPILED = "spark.sql.codegen.wholeStage false\nspark.sql.codegen.factoryMode NO_CODEGEN\n"  # rows are too few for it
OF_A_HOME = ["decision_id", "challenge_id", "model_version"]
TOLERANCE = 1e-6  # features agree to 1e-9; what is fitted to them follows


def trained(home: Path, engine: str) -> Path:
    """Return the home after the whole command has run, in a process of its own: Spark ends with it."""
    (home / "spark-defaults.conf").write_text(UNCOMPILED, encoding="utf-8")
    given = {**os.environ, "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1", "SPARK_CONF_DIR": str(home)}
    command = [sys.executable, "-c", TRAIN, "train", SOURCE, "--quick", "--engine", engine, "--home", str(home)]
    ended = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return home


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    need_java()
    return {engine: trained(tmp_path_factory.mktemp(engine), engine) for engine in ("spark", "duckdb")}


def test_spark_built_the_features_that_duckdb_builds(homes: Mapping[str, Path]) -> None:
    built = {
        engine: {
            (file.parent.name, file.name.removeprefix(engine))
            for file in (home / "features" / "groups").rglob(f"{engine}-*.parquet")
        }
        for engine, home in homes.items()
    }

    assert len(built["spark"]) > 30
    assert built["spark"] == built["duckdb"]
    assert not list((homes["spark"] / "features").rglob("duckdb-*"))


@pytest.mark.parametrize(
    "asked",
    [
        ("challenge",),
        ("scores",),
        ("recommendations", "--intent", "buy_again"),
        ("recommendations", "--intent", "discover"),
        ("also-bought",),
    ],
    ids=" ".join,
)
def test_both_bundles_give_the_same_answers(homes: Mapping[str, Path], asked: tuple[str, ...]) -> None:
    spark, duckdb = (answers(home, asked) for home in homes.values())

    assert len(duckdb) > 30
    pd.testing.assert_frame_equal(spark, duckdb, rtol=TOLERANCE, atol=TOLERANCE)


def answers(home: Path, asked: tuple[str, ...]) -> pd.DataFrame:
    """What `tercet batch` writes for everyone, without what is a home's own."""
    out = home / "answers.parquet"
    assert cli.run(["batch", *asked, "--out", str(out), "--home", str(home)]) == 0
    return pd.read_parquet(out).drop(columns=OF_A_HOME, errors="ignore")
