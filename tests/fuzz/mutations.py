"""Seeded mutations of inputs: what `make test` tries, the same each time; they stand in where atheris has no wheel."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_ODD = (b"\0", b"\xff", b"\xed\xa0\x80", b"\r\n", b'"', b"\\", b"[", b"]", b"{", b"}", b"-", b"1e999", b"9" * 30)


def mutated(seeds: Sequence[bytes], words: Sequence[bytes], n: int, seed: int) -> Iterator[bytes]:
    """Yield `n` inputs, each a seed with one to four changes; the same for the same arguments."""
    rng = random.Random(seed)
    for _ in range(n):
        found = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 4)):
            _change(found, rng, seeds, words)
        yield bytes(found)


def _change(found: bytearray, rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> None:
    at, end = sorted((rng.randrange(len(found) + 1), rng.randrange(len(found) + 1)))
    end = min(end, at + 40)
    match rng.randrange(6):
        case 0 if found:
            found[at % len(found)] ^= 1 << rng.randrange(8)
        case 1:
            del found[at:end]
        case 2:
            found[at:at] = found[at:end]
        case 3:
            found[at:end] = rng.choice([*words, *_ODD])
        case 4:
            found[at:at] = rng.choice([*words, *_ODD])
        case _:
            other = rng.choice(seeds)
            start = rng.randrange(len(other) + 1)
            found[at:end] = other[start : start + rng.randrange(40)]
