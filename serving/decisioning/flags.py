"""Which products the policy's lists mean: restricted, intimate, or excluded, by the words of their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from serving.bundle_format import INTIMATE, RESTRICTED
from serving.decisioning.policy import ListPolicy

_TOKEN = re.compile(r"[^\W_]+")
_BLANK = ""

Phrases = Mapping[str, tuple[tuple[str, ...], ...]]
"""The forms of phrases as tokens, by their first token: most words of a text begin none."""

Texts = Sequence[str | None]


def flag_products(
    names: Texts, types: Texts, categories: Texts, departments: Texts, lists: ListPolicy
) -> npt.NDArray[np.uint16]:
    """Return the RESTRICTED and INTIMATE bits of products, shape ``(n,)``.

    A word of a list counts in the name, the type, the category or the department, as a whole word, whatever its case,
    in the singular or with s or es; not where it is part of one of the harmless phrases. Categories are flagged by
    leaving the other texts empty. Cost: linear in the distinct texts.
    """
    columns = (names, types, categories, departments)
    restricted = _holds(columns, lists.restricted, lists.harmless)
    intimate = _holds(columns, lists.intimate, lists.harmless)
    return (restricted * np.uint16(RESTRICTED) | intimate * np.uint16(INTIMATE)).astype(np.uint16)


def excluded_products(
    names: Texts, types: Texts, categories: Texts, departments: Texts, lists: ListPolicy
) -> npt.NDArray[np.bool_]:
    """Return which products the policy never recommends, shape ``(n,)``, matched as in `flag_products`."""
    return _holds((names, types, categories, departments), lists.excluded, lists.harmless)


def flag_categories(
    flags: npt.NDArray[np.uint16], category_rows: npt.NDArray[np.int32], n_categories: int
) -> npt.NDArray[np.uint16]:
    """Return the RESTRICTED and INTIMATE bits of categories, shape ``(n_categories,)``: those of most products."""
    n_products = np.maximum(np.bincount(category_rows, minlength=n_categories), 1)
    found = np.zeros(n_categories, dtype=np.uint16)
    for bit in (RESTRICTED, INTIMATE):
        share = np.bincount(category_rows, weights=(flags & bit) > 0, minlength=n_categories) / n_products
        found |= np.where(share > 1 / 2, np.uint16(bit), np.uint16(0))
    return found


def _holds(columns: Sequence[Texts], words: Iterable[str], harmless: Iterable[str]) -> npt.NDArray[np.bool_]:
    wanted, spared = _forms(words), _forms(harmless)
    verdicts: dict[str | None, bool] = {None: False}
    for text in {text for texts in columns for text in texts if text}:
        verdicts[text] = _mentions(_blank_out(_tokens(text), spared), wanted)
    verdicts[""] = False
    held = [any(verdicts[text] for text in texts) for texts in zip(*columns, strict=True)]
    return np.array(held, dtype=np.bool_)


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.casefold())


def _forms(phrases: Iterable[str]) -> Phrases:
    """Return every phrase as tokens, each of its words as it stands and with s and es."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for phrase in phrases:
        for form in product(*((word, word + "s", word + "es") for word in _tokens(phrase))):
            found.setdefault(form[0], set()).add(form)
    return {first: tuple(sorted(forms)) for first, forms in found.items()}


def _runs(tokens: Sequence[str], phrases: Phrases) -> Iterator[tuple[int, int]]:
    """Yield where a phrase stands among the tokens, as start and end."""
    for start, token in enumerate(tokens):
        for form in phrases.get(token, ()):
            end = start + len(form)
            if tuple(tokens[start:end]) == form:
                yield start, end


def _mentions(tokens: Sequence[str], phrases: Phrases) -> bool:
    return any(True for _ in _runs(tokens, phrases))


def _blank_out(tokens: list[str], phrases: Phrases) -> list[str]:
    spared = {place for start, end in _runs(tokens, phrases) for place in range(start, end)}
    return [_BLANK if place in spared else token for place, token in enumerate(tokens)]
