"""The report as text, as Markdown with pictures beside it, and as one HTML page with everything in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from training.backtest.document import MET, MISSED, Document, Grid, Picture, Section, file_name
from training.judge import aligned

MARKDOWN_FILE, HTML_FILE = "report.md", "report.html"

_STYLE = """
:root{color-scheme:light dark;--ink:#1f2933;--dim:#52606d;--page:#fff;--rule:#d9dfe6;--met:#0b6e4f;--missed:#b4432f}
@media(prefers-color-scheme:dark){
:root{--ink:#e4e7eb;--dim:#9aa5b1;--page:#14181d;--rule:#323f4b;--met:#5fd0a4;--missed:#f0907f}}
body{margin:0 auto;max-width:88rem;padding:1rem;background:var(--page);color:var(--ink)}
body{font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin-top:2.5rem;border-top:1px solid var(--rule);padding-top:1rem}
h3{font-size:1rem;margin-bottom:.3rem}nav ul{list-style:none;padding:0}nav li{padding:.15rem 0}
a{color:inherit}.verdict{font-weight:600}.met{color:var(--met)}.missed{color:var(--missed)}.open{color:var(--dim)}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem}
th,td{padding:.25rem .6rem;text-align:left;border-bottom:1px solid var(--rule);vertical-align:top}
td.number{white-space:nowrap}td.long{min-width:12rem}figure{margin:1rem 0;max-width:640px}svg{width:100%;height:auto}
figcaption,.about{color:var(--dim);font-size:.9rem}
"""
_LONG = 24
_HAS_NUMBER = re.compile(r"[-+≥≤]?\s?\d[\d.,]*( \S+)?( [\[(*]|$)")
"""Cells that begin with a number and have an interval, a mark, or a name of one word: they stay on one line."""


def write_pages(document: Document, folder: Path) -> None:
    """Write the report under `folder`: Markdown, its pictures, and the HTML page."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture in document.all_pictures:
        (folder / f"{picture.name}.svg").write_text(picture.svg, encoding="utf-8")
    (folder / MARKDOWN_FILE).write_text(markdown(document), encoding="utf-8")
    (folder / HTML_FILE).write_text(html(document), encoding="utf-8")


def text(document: Document) -> str:
    """Return the report as plain text with aligned tables."""
    parts = [document.title, *document.lines, _text_grid(document.overview)]
    for section in document.sections:
        parts.append(f"{section.title}{f': {section.verdict}' if section.verdict else ''}")
        parts += ["\n".join(f"- {line}" for line in section.lines)] if section.lines else []
        parts += [_text_grid(grid) for grid in section.grids]
    return "\n\n".join(parts)


def _text_grid(grid: Grid) -> str:
    return f"{grid.caption}\n{aligned([list(grid.header), *(list(row) for row in grid.rows)])}"


def markdown(document: Document) -> str:
    """Return the report as Markdown; its pictures are files beside it."""
    parts = [f"# {document.title}", *document.lines, _markdown_grid(document.overview)]
    parts += [f"![{each.title}]({each.name}.svg)" for each in document.pictures]
    for section in document.sections:
        parts.append(f"## {section.title}")
        parts += [f"**{section.verdict}**"] if section.verdict else []
        parts += ["\n".join(f"- {line}" for line in section.lines)] if section.lines else []
        parts += [part for grid in section.grids for part in (f"### {grid.caption}", _markdown_grid(grid))]
        parts += [f"![{each.title}]({each.name}.svg)" for each in section.pictures]
    return "\n\n".join(parts) + "\n"


def _markdown_grid(grid: Grid) -> str:
    rows = [grid.header, tuple("---" for _ in grid.header), *grid.rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '∣') for cell in row)} |" for row in rows)


def html(document: Document) -> str:
    """Return the report as one page that needs nothing else: tables, pictures, and a table of contents on top."""
    body = [
        f"<h1>{escape(document.title)}</h1>",
        *(f"<p>{_html_line(line)}</p>" for line in document.lines),
        f"<nav><ul>{''.join(_entry(section) for section in document.sections)}</ul></nav>",
        _html_grid(document.overview),
        *_html_pictures(document.pictures),
        *(_html_section(section) for section in document.sections),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(document.title)}</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _entry(section: Section) -> str:
    return f'<li><a href="#{file_name(section.title)}">{escape(section.title)}</a>{_badge(section)}</li>'


def _badge(section: Section) -> str:
    return f' <span class="verdict {section.kind}">{escape(section.verdict)}</span>' if section.verdict else ""


def _html_section(section: Section) -> str:
    parts = [f'<section id="{file_name(section.title)}"><h2>{escape(section.title)}{_badge(section)}</h2>']
    parts += [f'<p class="about">{_html_line(line)}</p>' for line in section.lines]
    parts += [_html_grid(grid) for grid in section.grids]
    return "".join([*parts, *_html_pictures(section.pictures), "</section>"])


def _html_line(line: str) -> str:
    """Return a line with what stands between backticks as code."""
    parts = escape(line).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))


def _html_pictures(pictures: Iterable[Picture]) -> list[str]:
    return [f"<figure>{each.svg}<figcaption>{escape(each.title)}</figcaption></figure>" for each in pictures]


def _html_grid(grid: Grid) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in grid.header)
    kinds = grid.kinds or ("",) * len(grid.rows)
    rows = "".join(f"<tr>{_cells(row, kind)}</tr>" for row, kind in zip(grid.rows, kinds, strict=True))
    return (
        f'<h3>{escape(grid.caption)}</h3><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cells(row: Sequence[str], kind: str) -> str:
    """Return a row's cells; the last one wears the row's verdict."""
    cells = []
    for place, cell in enumerate(row):
        names = [kind] if place == len(row) - 1 and kind in (MET, MISSED) else []
        names += ["number"] if _HAS_NUMBER.match(cell) else ["long"] if len(cell) > _LONG else []
        cells.append(f'<td class="{" ".join(names)}">{escape(cell)}</td>' if names else f"<td>{escape(cell)}</td>")
    return "".join(cells)
