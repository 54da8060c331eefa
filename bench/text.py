"""Which characters words may hold, how long words are, and how words of unknown origin are printed."""

import re
import unicodedata
from collections.abc import Iterator

JOINERS = frozenset({"\u200c", "\u200d"})
"""The zero-width signs that scripts and emoji are spelt with."""
MARKS = 4
"""Combining marks that one character may carry; no orthography stacks more."""
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs that show nothing."""
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_EXTENDS = frozenset({"Mn", "Me", "Mc"})
_PLAIN = re.compile(r"[ -~]*")


def faults(text: str, *, lines: bool = False) -> Iterator[str]:
    """Yield what a text holds that no reader could see or that would change how its neighbours are read.

    Refused are control characters (``lines`` allows the line feed), direction and other invisible format characters,
    line and paragraph separators, halves of surrogate pairs, private use and non-characters.
    """
    if _PLAIN.fullmatch(text) and text.strip() == text:
        return
    bad = {sign for sign in text if hidden(sign) and not (lines and sign == "\n")}
    if bad:
        yield "characters that do not show: " + ", ".join(f"U+{ord(sign):04X}" for sign in sorted(bad)[:5])
    if text.strip() != text:
        yield "white space at its ends"
    if _stacked(text) > MARKS:
        yield f"more than {MARKS} combining marks on one character"
    if text and all(sign.isspace() or sign in _BLANK or sign in JOINERS or _extends(sign) for sign in text):
        yield "nothing that shows"


def hidden(sign: str) -> bool:
    """Tell whether a character does not show, or is none at all."""
    if sign in JOINERS:
        return False
    code = ord(sign)
    return unicodedata.category(sign) in _HIDDEN or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def folded(text: str) -> str:
    """Return a name as it is compared: compatible forms, cases and white space make no other name."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())


def length(text: str) -> int:
    """Count the characters that a reader sees: a base with its marks, a joined emoji and a flag are one each.

    Source: the extended grapheme clusters of Unicode Standard Annex 29, as far as the standard library's tables go.
    """
    if text.isascii():
        return len(text)
    count, before, flags = 0, "", 0
    for sign in text:
        flags = flags + 1 if "\U0001f1e6" <= sign <= "\U0001f1ff" else 0
        count += not (before and (_extends(sign) or before == "\u200d" or (flags and flags % 2 == 0)))
        before = sign
    return count


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return a text as a terminal may show it: what does not show is spelt out, as ``\x1b`` or ``\u202e``.

    ``lines`` keeps line feeds, for words that this program has put on several lines itself.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_spelt(sign) if hidden(sign) and not (lines and sign == "\n") else sign for sign in text)


def tidy(text: str, most: int) -> str:
    """Return words of others as one line that a record may hold: what does not show is a space, what is long is cut."""
    spaced = "".join(" " if hidden(sign) or _stacks(sign) else sign for sign in text)
    line = " ".join(spaced.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def _stacks(sign: str) -> bool:
    return unicodedata.category(sign) in {"Mn", "Me"}


def _spelt(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _extends(sign: str) -> bool:
    jamo = "\u1160" <= sign <= "\u11ff"
    skin = "\U0001f3fb" <= sign <= "\U0001f3ff"
    return sign in JOINERS or jamo or skin or unicodedata.category(sign) in _EXTENDS


def _stacked(text: str) -> int:
    most = now = 0
    for sign in text:
        now = now + 1 if _stacks(sign) else 0
        most = max(most, now)
    return most
