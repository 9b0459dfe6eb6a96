"""All that is fuzzed, by name, and what broke it once."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz import file_targets, http_targets, state_targets, table_targets
from tests.fuzz.target import Target

CORPUS = Path(__file__).with_name("corpus")

TARGETS: dict[str, Target] = {
    each.name: each
    for each in (*http_targets.TARGETS, *file_targets.TARGETS, *state_targets.TARGETS, *table_targets.TARGETS)
}


def corpus_of(name: str) -> dict[str, bytes]:
    """Return the inputs that broke a target once, by what they are called."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / name).glob("*"))}
