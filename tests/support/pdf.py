"""Reads a PDF far enough to say how many pages it has and what stands on them, by the format's own tables."""

import re
import zlib

_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


class Pdf:
    """The objects of a file, as its cross-reference table finds them."""

    def __init__(self, content: bytes) -> None:
        """Follow the cross-reference table to every object."""
        assert content.startswith(b"%PDF-1.")
        assert content.rstrip().endswith(b"%%EOF")
        start = int(re.findall(rb"startxref\s+(\d+)", content)[-1])
        table = re.compile(rb"xref\s+0 (\d+)\s+((?:\d{10} \d{5} [nf]\s*)+)trailer").match(content, start)
        places = [int(line[:10]) for line in re.findall(rb"\d{10} \d{5} n", table[2])]
        assert len(places) + 1 == int(table[1])
        self.objects = {}
        for place in places:
            found = re.compile(rb"(\d+) 0 obj\s(.*?)endobj", re.DOTALL).match(content, place)
            self.objects[int(found[1])] = found[2]

    @property
    def pages(self) -> int:
        """Number of pages, counted."""
        return sum(1 for body in self.objects.values() if re.search(rb"/Type /Page\s", body))

    @property
    def fonts(self) -> int:
        """Number of fonts that are embedded."""
        return sum(1 for body in self.objects.values() if b"/FontFile2" in body)

    @property
    def text(self) -> str:
        """Everything written, in the order of writing."""
        fonts = {
            name: self._letters(int(number))
            for body in self.objects.values()
            for name, number in re.findall(rb"/(f\w\d+) (\d+) 0 R", body)
        }
        written = []
        for number in self.objects:
            letters: dict[int, str] = {}
            for font, words in re.findall(
                rb"/(f\w\d+) [\d.]+ Tf|\(((?:\\.|[^\\)])*)\) Tj", self._stream(number), re.DOTALL
            ):
                letters = fonts[font] if font else letters
                codes = re.sub(rb"\\([0-7]{3}|.)", _unescaped, words, flags=re.DOTALL)
                written += [letters[high << 8 | low] for high, low in zip(codes[::2], codes[1::2], strict=True)]
        return "".join(written)

    def _letters(self, font: int) -> dict[int, str]:
        table = self._stream(int(re.search(rb"/ToUnicode (\d+) 0 R", self.objects[font])[1]))
        return {
            int(code, 16): bytes.fromhex(sign.decode()).decode("utf-16-be")
            for code, sign in re.findall(rb"<([0-9A-F]{4})> <([0-9A-F]+)>\n", table.partition(b"beginbfchar")[2])
        }

    def _stream(self, number: int) -> bytes:
        head, mark, rest = self.objects[number].partition(b"stream\n")
        if not mark:
            return b""
        body = rest[: int(re.search(rb"/Length (\d+)", head)[1])]
        return zlib.decompress(body) if b"/Filter" in head else body


def _unescaped(found: "re.Match[bytes]") -> bytes:
    sign = found[1]
    return bytes([int(sign, 8)]) if len(sign) == 3 else _ESCAPES.get(sign, sign)
