"""How Markdown is printed: headings that can be linked to, links that lead somewhere, and no HTML of its own."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

Leads = Callable[[str], str | None]
"""From the target of a link that names no other site to its address here; None where the site does not hold it."""

_READER = MarkdownIt("commonmark", {"html": False}).enable("table")


class Heading(NamedTuple):
    """A heading below the title."""

    level: int
    anchor: str
    words: str


class Section(NamedTuple):
    """What is searched: the words below one heading, those of tables and code included."""

    heading: str
    anchor: str
    """Empty for what stands below the title."""
    words: str


class Printed(NamedTuple):
    """A document as HTML, and what others need to know of it."""

    title: str
    lead: str
    """Its first sentence."""
    body: Markup
    """All below the title."""
    headings: tuple[Heading, ...]
    sections: tuple[Section, ...]


def render(text: str, leads: Leads, beyond: Callable[[str], str]) -> Printed:
    """Return a document that begins with its title.

    A link to what the site does not hold is printed as its words and, in brackets, what ``beyond`` makes of the target.
    """
    tokens = _READER.parse(text)
    assert [token.type for token in tokens[:3]] == ["heading_open", "inline", "heading_close"], "begins with a title"
    title, tokens = _words(tokens[1]), tokens[3:]
    headings = tuple(_anchored(tokens))
    for token in tokens:
        if token.children:
            token.children = [*_led(token.children, leads, beyond)]
    sections = tuple(_sections(tokens, title))
    body: str = _READER.renderer.render([*_framed(tokens, title)], _READER.options, {})
    # what came in is escaped by the renderer; what is written here holds no word of a document that is not
    return Printed(title, _lead(tokens), Markup(body), headings, sections)  # noqa: S704


def plain(words: str) -> str:
    """Return words of code and docstrings as Markdown that shows them as they are, in a cell of a table, too."""
    parts = re.split(r"(`+[^`]+`+)", " ".join(words.split()))
    return "".join(
        part.replace("``", "`").replace("|", "\\|")
        if part.startswith("`")
        else re.sub(r"([\\`*_\[\]<>|&#~])", r"\\\1", part)
        for part in parts
    )


def slug(words: str) -> str:
    """Return an anchor as GitHub makes it, so that a link works there and here."""
    return re.sub(r"[^\w\- ]", "", words.lower()).strip().replace(" ", "-")


def _words(token: Token) -> str:
    """Return the words of a piece of text, without marks."""
    if token.children is None:
        return token.content
    return "".join(" " if child.type in {"softbreak", "hardbreak"} else child.content for child in token.children)


def _lead(tokens: list[Token]) -> str:
    first = next((token for token in tokens if token.type == "inline"), None)
    words = "" if first is None else _words(first)
    return re.split(r"(?<=[.?!])\s", words, maxsplit=1)[0]


def _anchored(tokens: list[Token]) -> Iterator[Heading]:
    """Give every heading an anchor that no other one has."""
    seen: dict[str, int] = {}
    for token, inside in pairwise(tokens):
        if token.type == "heading_open":
            words = _words(inside)
            anchor = slug(words)
            seen[anchor] = seen.get(anchor, -1) + 1
            anchor += f"-{seen[anchor]}" if seen[anchor] else ""
            token.attrSet("id", anchor)
            yield Heading(int(token.tag[1]), anchor, words)


def _led(children: list[Token], leads: Leads, beyond: Callable[[str], str]) -> Iterator[Token]:
    """Yield what stands in a piece of text with every link and image led to its place."""
    lost: str | None = None
    for child in children:
        if child.type == "image":
            address = leads(str(child.attrGet("src")))
            assert address is not None, "an image lies beside its document"
            child.attrSet("src", address)
        elif child.type == "link_open":
            target = str(child.attrGet("href"))
            address = target if target.startswith("https://") else leads(target)
            if address is None:
                lost = target
                continue
            child.attrSet("href", address)
        elif child.type == "link_close" and lost is not None:
            yield Token("text", "", 0, content=" (")
            yield Token("code_inline", "code", 0, content=beyond(lost))
            yield Token("text", "", 0, content=")")
            lost = None
            continue
        yield child


def _sections(tokens: list[Token], title: str) -> Iterator[Section]:
    heading, anchor, words = title, "", list[str]()
    for token, before in zip(tokens, [None, *tokens], strict=False):
        if token.type == "heading_open":
            yield Section(heading, anchor, " ".join(words))
            anchor, words = str(token.attrGet("id")), []
        elif before is not None and before.type == "heading_open":
            heading = _words(token)
        elif token.type in {"inline", "fence", "code_block"}:
            words.append(" ".join(_words(token).split()))
    yield Section(heading, anchor, " ".join(words))


def _framed(tokens: list[Token], title: str) -> Iterator[Token]:
    """Yield tokens with code as it stands, and tables in frames that scroll, each under a name of its own."""
    heading, count = title, 0
    for token, before in zip(tokens, [None, *tokens], strict=False):
        if before is not None and before.type == "heading_open":
            heading, count = _words(token), 0
        if token.type == "table_open":
            count += 1
            name = escape(heading if count == 1 else f"{heading}, {count}")
            frame = f'<div class="scroll" role="region" tabindex="0" aria-label="{name}">'
            yield Token("html_block", "", 0, content=frame)
            token.attrSet("class", "plain")
        elif token.type in {"th_open", "td_open"} and token.attrs.pop("style", ""):
            token.attrSet("class", "n")  # the page's security policy knows no styles; only figures are aligned
        if token.type == "th_open":
            token.attrSet("scope", "col")
        if token.type in {"fence", "code_block"}:
            # a page is printed without empty lines; those of code have to stay
            code = str(escape(token.content.rstrip("\n"))).replace("\n\n", "\n&#10;")
            yield Token("html_block", "", 0, content=f"<pre><code>{code}</code></pre>\n")
            continue
        yield token
        if token.type == "table_close":
            yield Token("html_block", "", 0, content="</div>\n")
