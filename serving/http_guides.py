"""The guides that ship with tercet, as pages beside that of the API."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from serving.markdown_html import as_html, title_of

FIRST = ("guide-marketing", "guide-data-science")
"""The guides that others begin with."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tercet: {title}</title>
<link rel="icon" href="/favicon.ico" type="image/svg+xml">
<link rel="stylesheet" href="/studio/page.css">
</head>
<body>
<a class="skip" href="#guide">Skip to the guide</a>
<header class="top">
  <a class="brand" href="/"><span class="mark" aria-hidden="true"><i></i><i></i><i></i></span><b>tercet</b></a>
</header>
<div class="frame">
  <nav class="side" aria-label="Guides">
    <h2>Guides</h2>
    <ul>{links}</ul>
    <h2>More</h2>
    <ul><li><a href="/">The API</a></li></ul>
  </nav>
  <main id="guide" class="guide prose">
{body}
  </main>
</div>
</body>
</html>
"""


@cache
def guides() -> dict[str, bytes]:
    """Return the HTML of each guide by its path, `/guides/<name>`; those to begin with first."""
    texts = {path.name.removesuffix(".md"): path.read_text("utf-8") for path in _texts()}
    names = [*(each for each in FIRST if each in texts), *sorted(set(texts) - set(FIRST))]
    return {f"/guides/{name}": _page(name, names, texts).encode() for name in names}


def _texts() -> list[Traversable]:
    """Return the documents: in an installation beside the page, in a checkout where they are written."""
    packaged = files("serving") / "studio" / "guides"
    folder: Traversable = packaged if packaged.is_dir() else Path(__file__).parent.parent / "docs"
    return [each for each in folder.iterdir() if each.name.endswith(".md")] if folder.is_dir() else []


def _page(name: str, names: list[str], texts: dict[str, str]) -> str:
    def link(href: str) -> str | None:
        """Lead to other guides as pages, and to nothing that is not served."""
        found = re.fullmatch(r"([\w-]+)\.md(#[\w-]+)?", href)
        if found and found[1] in texts:
            return f"/guides/{found[1]}{found[2] or ''}"
        return href if href.startswith(("#", "https://")) else None

    links = "".join(_entry(each, texts[each], is_here=each == name) for each in names)
    return _PAGE.format(title=escape(title_of(texts[name])), links=links, body=as_html(texts[name], link))


def _entry(name: str, text: str, *, is_here: bool) -> str:
    current = ' aria-current="page"' if is_here else ""
    return f'<li><a href="/guides/{name}"{current}>{escape(title_of(text))}</a></li>'
