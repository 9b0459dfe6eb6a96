"""The Markdown of our own guides as HTML: headings, paragraphs, lists, tables, code and links, and nothing else.

For text that ships with tercet, so that the server can show it without another library; whatever is not known stays
text, and all text is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape

_FENCE = re.compile(r"^```")
_HEADING = re.compile(r"^(#{1,4}) (.+)$")
_ITEM = re.compile(r"^(?:[-*]|(\d+)\.) (.*)$")
_ROW = re.compile(r"^\|.*\|$")
_RULE = re.compile(r"^\|[\s:|-]+\|$")
_INLINE = re.compile(r"`([^`]+)`|\*\*(.+?)\*\*|(?<!\*)\*([^*\s][^*]*)\*|\[([^\]]+)\]\(([^)\s]+)\)|<(https?://[^>\s]+)>")

Link = Callable[[str], str | None]


def as_html(text: str, link: Link) -> str:
    """Return a document as HTML; `link` turns what a link names into where it leads, None for nowhere.

    Examples
    --------
    >>> as_html("# *Why* <b> `now`", lambda href: href)
    '<h1 id="why-b-now"><em>Why</em> &lt;b&gt; <code>now</code></h1>'
    """
    return "\n".join(_blocks(text.split("\n"), link))


def title_of(text: str) -> str:
    """Return the first heading of a document, without its marks; empty where it has none."""
    found = next((match for line in text.split("\n") if (match := _HEADING.match(line))), None)
    return "" if found is None else re.sub(r"[`*]", "", found[2])


def _blocks(lines: list[str], link: Link) -> Iterator[str]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
            continue
        end = _end_of_block(lines, at)
        block = lines[at:end]
        at = end + 1 if _FENCE.match(line) else end
        yield _block(block, link)


def _end_of_block(lines: list[str], start: int) -> int:
    """Return the place after the last line of the block that begins at `start` (a fence's own end is not part)."""
    is_fence = bool(_FENCE.match(lines[start]))
    if _HEADING.match(lines[start]):
        return start + 1
    at = start + 1
    while at < len(lines) and not (_FENCE.match(lines[at]) if is_fence else _ends(lines, start, at)):
        at += 1
    return at


def _ends(lines: list[str], start: int, at: int) -> bool:
    line = lines[at]
    if not line.strip():
        # A list goes on after an empty line where what follows is an item of it, or stands under one.
        is_list = bool(_ITEM.match(lines[start]))
        following = lines[at + 1] if at + 1 < len(lines) else ""
        return not (is_list and (_ITEM.match(following) or following.startswith("  ")))
    return bool(_HEADING.match(line) or _FENCE.match(line) or (_ITEM.match(line) and not _ITEM.match(lines[start])))


def _block(block: list[str], link: Link) -> str:
    first = block[0]
    if _FENCE.match(first):
        return f"<pre><code>{escape(chr(10).join(block[1:]))}</code></pre>"
    if heading := _HEADING.match(first):
        level, text = len(heading[1]), heading[2]
        return f'<h{level} id="{anchor_of(text)}">{_inline(text, link)}</h{level}>'
    if _ITEM.match(first):
        return _list(block, link)
    if _ROW.match(first.strip()) and len(block) > 1 and _RULE.match(block[1].strip()):
        return _table(block, link)
    return f"<p>{_inline(' '.join(line.strip() for line in block), link)}</p>"


def _list(block: list[str], link: Link) -> str:
    items: list[list[str]] = []
    for line in block:
        if item := _ITEM.match(line):
            items.append([item[2]])
        else:
            items[-1].append(line.strip())
    name = "ol" if re.match(r"^\d", block[0]) else "ul"
    told = "".join(f"<li>{_inline(' '.join(each).strip(), link)}</li>" for each in items)
    return f"<{name}>{told}</{name}>"


def _table(block: list[str], link: Link) -> str:
    head, *rows = [_cells(line, link) for i, line in enumerate(block) if i != 1]
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _cells(line: str, link: Link) -> list[str]:
    inner = line.strip()[1:-1]
    return [_inline(cell.strip().replace("\\|", "|"), link) for cell in re.split(r"(?<!\\)\|", inner)]


def anchor_of(heading: str) -> str:
    """Return the name by which a heading can be linked to, as code hosts make it.

    Examples
    --------
    >>> anchor_of("What it `costs`, and why")
    'what-it-costs-and-why'
    """
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _inline(text: str, link: Link) -> str:
    parts, at = [], 0
    for found in _INLINE.finditer(text):
        parts += [escape(text[at : found.start()]), _mark(found, link)]
        at = found.end()
    return "".join([*parts, escape(text[at:])])


def _mark(found: re.Match[str], link: Link) -> str:
    code, strong, emphasis, label, href, address = found.groups()
    if code is not None:
        return f"<code>{escape(code)}</code>"
    if strong is not None:
        return f"<strong>{_inline(strong, link)}</strong>"
    if emphasis is not None:
        return f"<em>{_inline(emphasis, link)}</em>"
    target = link(href or address)
    inner = escape(address) if address else _inline(label, link)
    return inner if target is None else f'<a href="{escape(target)}">{inner}</a>'
