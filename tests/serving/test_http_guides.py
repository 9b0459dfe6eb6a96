from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from serving.http_guides import FIRST, guides
from serving.http_pages import pages

DOCS = Path(__file__).parents[2] / "docs"


class Elements(HTMLParser):
    """The links and anchors of a page, and whether its elements are closed in their order."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.ids: set[str] = set()
        self.open: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.hrefs += [href] if (href := found.get("href")) else []
        self.ids |= {name} if (name := found.get("id")) else set()
        if tag not in {"meta", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


PAGES = {path: Elements(page) for path, page in guides().items()}


def test_every_document_is_a_page_those_to_begin_with_first() -> None:
    assert list(PAGES)[:2] == [f"/guides/{each}" for each in FIRST]
    assert {path.removeprefix("/guides/") for path in PAGES} == {path.stem for path in DOCS.glob("*.md")}


@pytest.mark.parametrize("path", sorted(PAGES))
def test_a_guide_s_links_lead_somewhere(path: str) -> None:
    page = PAGES[path]
    assert page.open == []
    for href in page.hrefs:
        target, _, anchor = href.partition("#")
        if not href.startswith("https://"):
            assert not target or target in pages(), href
            assert not anchor or anchor in PAGES.get(target or path, page).ids, href


def test_the_page_of_the_api_links_to_guides_that_are_there() -> None:
    linked = re.findall(r'href="(/guides/[^"]+)"', pages()["/"].body.decode())
    assert linked[:2] == [f"/guides/{each}" for each in FIRST]
    assert set(linked) <= set(PAGES)


def test_a_guide_is_html_that_loads_nothing_from_elsewhere() -> None:
    headers = dict(pages()[f"/guides/{FIRST[0]}"].headers)
    assert headers[b"content-type"] == b"text/html; charset=utf-8"
    assert b"default-src 'none'" in headers[b"content-security-policy"]
