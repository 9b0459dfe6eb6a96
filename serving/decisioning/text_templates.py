"""Templates of messages: Jinja in a sandbox, of which only what a message needs is let in.

A template may name facts, ask whether one is there, compare numbers and choose a plural. It has no loops, calls,
attributes, arithmetic or assignments, so its output is bounded by its own length and that of the facts, and it always
ends. What it may hold is checked on its tree before it is compiled; the sandbox is the second wall.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from serving.decisioning.text_forms import PLURALS, Forms
from serving.errors import TextsError

MAX_SOURCE = 2000
"""Characters that the source of one text may have."""

PLURAL = "plural"

_LET_IN: tuple[type[nodes.Node], ...] = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.If,
    nodes.CondExpr,
    nodes.Not,
    nodes.And,
    nodes.Or,
    nodes.Compare,
    nodes.Operand,
    nodes.Filter,
)


@dataclass(frozen=True)
class Fact:
    """A fact that a template may name: whether it is a number, and whether it may be missing."""

    is_number: bool = False
    may_be_missing: bool = False


Facts = Mapping[str, str | int | None]
"""Facts by name, ready to be read; None is missing."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """A sandbox in which nothing can be reached into or called."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def is_safe_attribute(self, _obj: Any, _attr: str, _value: Any) -> bool:  # Any: Jinja asks about any object
        return False

    def is_safe_callable(self, _obj: Any) -> bool:  # Any: as above
        return False

    def getattr(self, _obj: Any, attribute: str) -> NoReturn:  # Any: as above
        raise SecurityError(f"a template may not reach into a fact (.{attribute})")

    def getitem(self, _obj: Any, argument: Any) -> NoReturn:  # Any: as above
        raise SecurityError(f"a template may not reach into a fact ([{argument!r}])")

    def call_binop(self, _context: Any, operator: str, _left: Any, _right: Any) -> NoReturn:  # Any: as above
        raise SecurityError(f"a template may not calculate ({operator})")


class Template:
    """One text of a message, checked and compiled."""

    def __init__(self, source: str, facts: Mapping[str, Fact], forms: Forms) -> None:
        """Raise TextsError, one line with every mistake, for a source that may not be let in."""
        if len(source) > MAX_SOURCE:
            raise TextsError(f"has {len(source):,} characters, at most {MAX_SOURCE:,} are allowed")
        environment = _sandbox(forms)
        try:
            tree = environment.parse(source)
            mistakes = list(_mistakes(tree, facts, PLURALS[forms.plural][0]))
            if mistakes:
                raise TextsError("; ".join(dict.fromkeys(mistakes)))
            self._template = environment.from_string(tree)
        except (TemplateError, RecursionError, SyntaxError) as error:
            raise TextsError(f"is no template: {_said(error)}") from error
        self._try_out(facts)

    def filled(self, facts: Facts) -> str:
        """Return the text with the facts in it, on one line; TextsError when it says something that is missing."""
        try:
            return " ".join(self._template.render(facts).split())
        except (TemplateError, TypeError) as error:  # a type: a number compared with a word, or with what is missing
            raise TextsError(_said(error)) from error

    def _try_out(self, facts: Mapping[str, Fact]) -> None:
        """Render with all facts, with none of those that may be missing, and with each of these missing alone."""
        whole: dict[str, str | int | None] = {
            name: 2 if fact.is_number else f"({name})" for name, fact in facts.items()
        }
        optional = [name for name, fact in facts.items() if fact.may_be_missing]
        for missing in ([], optional, *([name] for name in optional)):
            text = self.filled(whole | dict.fromkeys(missing))
            if not text:
                without = f" without {', '.join(missing)}" if missing else ""
                raise TextsError(f"says nothing{without}")


def _sandbox(forms: Forms) -> _Sandbox:
    environment = _Sandbox(undefined=StrictUndefined, autoescape=False, finalize=_finalized)
    environment.globals.clear()
    environment.tests.clear()
    environment.filters.clear()
    environment.filters[PLURAL] = _plural(forms)
    return environment


def _plural(forms: Forms) -> Callable[..., str]:
    def plural(n: int, *words: str) -> str:
        return forms.plural_of(n, words)

    return plural


# Any: whatever an expression comes to.
def _finalized(value: Any) -> str:
    if value is None:
        raise TemplateError("says a fact that may be missing: put it inside {% if … %}")
    return str(value)


def _mistakes(tree: nodes.Template, facts: Mapping[str, Fact], n_forms: int) -> Iterator[str]:
    """Yield what a template may not hold."""
    for node in _walk(tree):
        if not isinstance(node, _LET_IN):
            yield f"line {node.lineno or 1}: {type(node).__name__} is not allowed in a text"
        elif isinstance(node, nodes.Name) and node.name not in facts:
            yield f"line {node.lineno}: {node.name} is no fact of this message (it has {', '.join(sorted(facts))})"
        elif isinstance(node, nodes.Filter):
            yield from _filter_mistakes(node, facts, n_forms)


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _walk(child)


def _filter_mistakes(node: nodes.Filter, facts: Mapping[str, Fact], n_forms: int) -> Iterator[str]:
    if node.name != PLURAL:
        yield f"line {node.lineno}: there is no filter {node.name}, only {PLURAL}"
        return
    counted = node.node
    if not (isinstance(counted, nodes.Name) and counted.name in facts and facts[counted.name].is_number):
        yield f"line {node.lineno}: {PLURAL} is for a fact that is a number"
    elif facts[counted.name].may_be_missing:
        yield f"line {node.lineno}: {PLURAL} is for a number that is never missing"
    words: Sequence[nodes.Expr] = node.args
    are_words = all(isinstance(each, nodes.Const) and isinstance(each.value, str) for each in words)
    if not are_words or len(words) != n_forms or node.kwargs or node.dyn_args or node.dyn_kwargs:
        yield f"line {node.lineno}: {PLURAL} takes this language's {n_forms} forms, as words in quotes"


def _said(error: Exception) -> str:
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    line = getattr(error, "lineno", None)
    return f"line {line}: {message}" if line else str(message)
