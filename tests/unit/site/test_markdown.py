"""Markdown becomes HTML with anchors and working links, and words stay words."""

import pytest

from bench.site.markdown import plain, render, slug

TEXT = """\
# The title

First words, *marked*. More of them.

## What is here

See [the next](next.md#part), [a file](../code.py), [elsewhere](https://example.org/a?b=1&c), ![a picture](drawn.svg).

| name | figure |
|---|---:|
| `a\\|b` | 1 |

## What is here

```console
first

third <b>
```

| again |
|---|
| x |

| and again |
|---|
| y |
"""
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](data:text/html,<script>alert(1)</script>)",
    '[x](next.md "<script>")',
    "`<script>`",
    "    <script>",
]


def leads(target):
    path, mark, anchor = target.partition("#")
    return {"next.md": f"next.html{mark}{anchor}", "drawn.svg": "drawn.svg"}.get(path)


def printed(text):
    return render(text, leads, str.upper)


def test_the_title_and_the_first_sentence_are_told_apart():
    found = printed(TEXT)
    assert (found.title, found.lead) == ("The title", "First words, marked.")
    assert "The title" not in found.body


def test_headings_have_anchors_of_their_own():
    found = printed(TEXT)
    anchors = ["what-is-here", "what-is-here-1"]
    assert [heading.anchor for heading in found.headings] == anchors
    assert all(f'<h2 id="{anchor}">What is here</h2>' in found.body for anchor in anchors)


def test_links_lead_to_pages_and_name_what_the_site_does_not_hold():
    body = printed(TEXT).body
    assert '<a href="next.html#part">the next</a>' in body
    assert "a file (<code>../CODE.PY</code>)" in body
    assert '<a href="https://example.org/a?b=1&amp;c">' in body
    assert 'src="drawn.svg" alt="a picture"' in body


def test_tables_scroll_under_names_of_their_own_and_carry_no_style():
    body = printed(TEXT).body
    for name in ("What is here", "What is here, 2"):
        assert f'<div class="scroll" role="region" tabindex="0" aria-label="{name}">' in body
    assert '<th class="n" scope="col">figure</th>' in body
    assert "<code>a|b</code>" in body
    assert "style" not in body


def test_code_keeps_its_empty_lines_where_pages_lose_theirs():
    assert "<pre><code>first\n&#10;third &lt;b&gt;</code></pre>" in printed(TEXT).body
    assert printed("# T\n\n    a\n\n\n    b").body == "<pre><code>a\n&#10;\nb</code></pre>\n"


def test_what_is_searched_is_cut_at_headings_and_holds_tables_and_code():
    first, second, third = printed(TEXT).sections
    assert first == ("The title", "", "First words, marked. More of them.")
    assert second.words.endswith("name figure a|b 1")
    assert third == ("What is here", "what-is-here-1", "first third <b> again x and again y")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_word_of_a_document_becomes_markup(text):
    body = printed(f"# T\n\n{text}\n\n## {text}\n\n|{text}|\n|---|\n|{text}|\n").body
    assert "<script" not in body
    assert "<img src=x" not in body
    assert 'href="javascript' not in body
    assert 'src="data:' not in body


@pytest.mark.parametrize(
    ("words", "anchor"),
    [
        ("A recipe of your own", "a-recipe-of-your-own"),
        ("Linf: one PGD run is weak", "linf-one-pgd-run-is-weak"),
        ("bench evaluate", "bench-evaluate"),
        ("Why, and `how`?", "why-and-how"),
    ],
)
def test_anchors_are_those_of_github(words, anchor):
    assert slug(words) == anchor


def test_plain_words_are_shown_as_they_are():
    words = "FACTORY[?weights=FILE] `bench list x|y` ``a_b`` *all* <b> a_b | ~c &amp; \\"
    body = printed(f"# T\n\n| a |\n|---|\n| {plain(words)} |\n").body
    shown = "FACTORY[?weights=FILE] <code>bench list x|y</code> <code>a_b</code> *all* &lt;b&gt; a_b | ~c &amp;amp; \\"
    assert f"<td>{shown}</td>" in body
