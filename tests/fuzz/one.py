"""One target under atheris: `python -m tests.fuzz.one NAME [libFuzzer's options]`; started by `tests.fuzz`."""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path


def main(name: str, options: list[str]) -> None:
    """Fuzz until libFuzzer's options say stop; the process ends with 0 when nothing was found."""
    import atheris  # there are machines that it has no wheel for

    with atheris.instrument_imports(include=["serving", "features"]):
        from tests.fuzz.targets import TARGETS, corpus_of
    target = TARGETS[name]
    begun = Path(tempfile.mkdtemp())  # whoever starts this says where, and clears it away
    for place, seed in enumerate([*target.seeds(), *corpus_of(name).values()]):
        (begun / f"{place:04}").write_bytes(seed)
    words = begun.with_suffix(".dict")
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words() if word), "ascii")
    logging.disable(logging.CRITICAL)
    given = [f"-dict={words}", f"-max_len={target.max_bytes}", "-len_control=0", *options, str(begun)]
    atheris.Setup([sys.argv[0], *given], target.make(), internal_libfuzzer=True)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(chr(each) if 32 <= each < 127 and each not in b'"\\' else f"\\x{each:02x}" for each in word)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
