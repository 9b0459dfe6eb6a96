"""Bundles that earlier versions wrote: each still serves, or is refused in one clear line."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from serving.api import ChallengeRequest
from serving.bundle import open_bundle
from serving.bundle_format import SCHEMA_VERSION
from serving.engine import Engine
from serving.errors import BundleError

GOLDEN = sorted((Path(__file__).parent / "golden").glob("bundle-schema-*.zip"))


@pytest.mark.parametrize("archive", GOLDEN, ids=lambda path: path.stem)
def test_a_stored_bundle_still_serves_or_is_refused_clearly(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as files:
        files.extractall(tmp_path)
    folder = next(tmp_path.iterdir())
    if archive.stem == f"bundle-schema-{SCHEMA_VERSION}":
        bundle = open_bundle(folder)
        answer = Engine(bundle).challenge(ChallengeRequest(customer_id="anna"), bundle.manifest.as_of, "")
        assert [item["product_id"] for item in answer["items"]] == ["milk-1", "bread-1", "coffee-1"]
    else:
        with pytest.raises(BundleError, match="schema version") as caught:
            open_bundle(folder)
        assert "\n" not in str(caught.value)


def test_there_is_a_stored_bundle_of_todays_schema() -> None:
    assert f"bundle-schema-{SCHEMA_VERSION}" in [path.stem for path in GOLDEN]
