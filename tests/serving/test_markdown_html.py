from __future__ import annotations

import pytest

from serving.markdown_html import anchor_of, as_html, title_of


def html(text: str) -> str:
    return as_html(text, lambda href: None if href.startswith("..") else href)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("one\ntwo\n\nthree", "<p>one two</p>\n<p>three</p>"),
        ("## What, `if`?", '<h2 id="what-if">What, <code>if</code>?</h2>'),
        ("a **b *c* d** e", "<p>a <strong>b <em>c</em> d</strong> e</p>"),
        ("2 * 3 * 4", "<p>2 * 3 * 4</p>"),
        ("`<a> **b**`", "<p><code>&lt;a&gt; **b**</code></p>"),
        ("<script>", "<p>&lt;script&gt;</p>"),
        ("[a `b`](x.md#y)", '<p><a href="x.md#y">a <code>b</code></a></p>'),
        ("[a](../secret)", "<p>a</p>"),
        ("<https://a.example/?b&c>", '<p><a href="https://a.example/?b&amp;c">https://a.example/?b&amp;c</a></p>'),
        ('[a](x"y)', '<p><a href="x&quot;y">a</a></p>'),
        ("- a\n  more\n- b", "<ul><li>a more</li><li>b</li></ul>"),
        ("1. a\n2. b\n\ntext", "<ol><li>a</li><li>b</li></ol>\n<p>text</p>"),
        ("text\n- a", "<p>text</p>\n<ul><li>a</li></ul>"),
        ("```bash\nls | wc\n\n# <x>\n```\nafter", "<pre><code>ls | wc\n\n# &lt;x&gt;</code></pre>\n<p>after</p>"),
        ("```\nnever ends", "<pre><code>never ends</code></pre>"),
    ],
)
def test_each_block_becomes_its_element_and_text_stays_text(text: str, expected: str) -> None:
    assert html(text) == expected


def test_a_table_has_a_head_and_rows_and_may_hold_bars() -> None:
    table = "| a | b |\n| --- | --- |\n| `x` | 1 \\| 2 |\n| | y |"
    assert html(table) == (
        "<table><thead><tr><th>a</th><th>b</th></tr></thead>"
        "<tbody><tr><td><code>x</code></td><td>1 | 2</td></tr><tr><td></td><td>y</td></tr></tbody></table>"
    )


def test_the_title_is_the_first_heading() -> None:
    assert title_of("text\n# The *big* `one`\n## two") == "The big one"
    assert title_of("no heading") == ""
    assert anchor_of("**A/B**: which?") == "ab-which"
