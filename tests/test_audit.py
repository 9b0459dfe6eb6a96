"""The bill of materials names all that the lock names, and an audit says what it could not look up."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.audit import LOCKS, finding, write_sbom

_PACKAGE = re.compile(r"^([a-z0-9._-]+)==([^ \\]+)[^\n]*\\\n((?: *--hash=sha256:[0-9a-f]{64}[ \\]*\n)+)", re.MULTILINE)


def locked(lock: Path) -> dict[str, tuple[str, set[str]]]:
    """Return the version and the hashes of each package of a lock file."""
    return {
        name: (version, set(re.findall("[0-9a-f]{64}", hashes)))
        for name, version, hashes in _PACKAGE.findall(lock.read_text("utf-8"))
    }


def row(name: str, *ids: str, reason: str = "") -> dict[str, Any]:
    if reason:
        return {"name": name, "skip_reason": reason}
    return {"name": name, "version": "1.0", "vulns": [{"id": each, "fix_versions": ["1.1"]} for each in ids]}


@pytest.mark.slow
def test_the_bill_of_materials_names_every_package_of_the_lock_with_its_hashes(tmp_path: Path) -> None:
    for name, lock in LOCKS.items():
        write_sbom(lock, tmp_path / f"{name}.json")
        text = (tmp_path / f"{name}.json").read_text("utf-8")
        found = json.loads(text)
        named = {
            each["name"]: (
                each["version"],
                {found["content"] for place in each["externalReferences"] for found in place["hashes"]},
            )
            for each in found["components"]
        }

        if name == "serving":  # the others take half a minute, and are made in the same way
            assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
        assert named == locked(lock)
        assert len(named) > 60
        assert found["metadata"]["component"]["name"] == "tercet"
        assert all(each["purl"].startswith("pkg:pypi/") for each in found["components"])


def test_what_could_not_be_looked_up_is_said() -> None:
    unknown = finding({"dependencies": [row("a", reason="not found"), row("b", reason="not found")]})

    assert unknown.text() == "nothing was audited: the index here has no advisories for any of 2 packages"
    assert finding({"dependencies": [row("a"), row("b", reason="x")]}).text() == (
        "0 of 1 packages have advisories, 1 could not be looked up"
    )


def test_an_advisory_is_named_with_its_package() -> None:
    found = finding({"dependencies": [row("a"), row("b", "CVE-1", "CVE-2")]})

    assert found.text() == "1 of 2 packages have advisories\n  b 1.0: CVE-1, CVE-2"
