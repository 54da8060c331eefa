"""Pieces of the site: mixtures, fronts, sweet spots, images, spelling, vendored files."""

import struct
import zlib
from fractions import Fraction
from importlib import resources
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate

from bench.errors import ArtefactError
from bench.protocol.load import load
from bench.site import vendor
from bench.site.downloads import plain
from bench.site.entries import read
from bench.site.figures import metric, p_value, percent, signed, thousands, threat
from bench.site.gallery import gallery, png
from bench.site.mixture import Line, envelope
from bench.site.plots import pareto_front
from bench.site.sweetspots import ladders
from bench.submission.links import https
from bench.submission.paired import Paired, kept
from bench.threats import Norm
from tests.support.builders import board, write


class _Entry:
    """What an envelope asks of an entry."""

    def __init__(self, name, size):
        self.id = name
        self.result = self
        self.pruning = self
        self.nonzero = size


def _lines(*values):
    return [Line(_Entry(name, size), Fraction(clean), Fraction(robust)) for name, clean, robust, size in values]


def test_the_winner_changes_where_the_lines_cross():
    found = envelope(
        _lines(("natural", "9/10", "1/10", 9), ("robust", "8/10", "5/10", 9), ("never", "7/10", "3/10", 9))
    )
    assert [(reign.line.entry.id, reign.start, reign.end) for reign in found] == [
        ("natural", 0, Fraction(1, 5)),
        ("robust", Fraction(1, 5), 1),
    ]


def test_three_lines_through_one_point_leave_the_middle_one_out():
    found = envelope(_lines(("a", "1", "0", 1), ("b", "3/4", "1/4", 1), ("c", "1/2", "1/2", 1)))
    assert [(reign.line.entry.id, reign.end) for reign in found] == [("a", Fraction(1, 2)), ("c", 1)]


def test_of_equal_lines_the_smaller_network_wins():
    found = envelope(_lines(("big", "9/10", "5/10", 100), ("small", "9/10", "5/10", 10)))
    assert [reign.line.entry.id for reign in found] == ["small"]


@pytest.mark.parametrize("seed", range(20))
def test_the_envelope_is_the_best_line_everywhere(seed):
    draw = np.random.default_rng(seed)
    lines = [
        Line(_Entry(f"e{index}", 1), Fraction(int(c), 50), Fraction(int(min(r, c)), 50))
        for index, (c, r) in enumerate(draw.integers(0, 51, (8, 2)))
    ]
    reigns = envelope(lines)
    assert (reigns[0].start, reigns[-1].end) == (0, 1)
    assert all(one.end == two.start for one, two in pairwise(reigns))
    for reign in reigns:
        for share in (reign.start, (reign.start + reign.end) / 2, reign.end):
            assert reign.line.at(share) == max(line.at(share) for line in lines)


def test_the_front_holds_what_nothing_smaller_beats():
    assert pareto_front([(4.0, 0.5), (1.0, 0.2), (2.0, 0.2), (2.0, 0.4), (8.0, 0.5)]) == [
        (1.0, 0.2),
        (2.0, 0.4),
        (4.0, 0.5),
    ]


def test_a_sweet_spot_ends_before_the_first_step_that_is_not_shown(tmp_path):
    catalogue = read(board(tmp_path, 16))
    (ladder,) = ladders(catalogue, catalogue.boards[0])
    assert ladder.parent.id == "net-0-dense"
    reached = 0
    for recipe, spot in ladder.spots.items():
        expected = None
        for entry, line in ladder.rungs:
            if line != recipe:
                continue
            robust = Paired.of(entry.robust[Norm.LINF], ladder.parent.robust[Norm.LINF])
            clean = Paired.of(entry.correct, ladder.parent.correct)
            if entry.result.collapsed or not (kept(robust).low > 0.9 and kept(clean).low > 0.95):
                break
            expected = entry
            reached += 1
        assert spot.entry is expected
        assert spot.together is None or spot.together.sparsity <= expected.sparsity
    assert reached


def test_the_area_of_a_ladder_is_scipys_over_log2_of_the_compression(tmp_path):
    catalogue = read(board(tmp_path, 16))
    (ladder,) = ladders(catalogue, catalogue.boards[0])
    assert len(ladder.areas) == len(ladder.spots) > 1
    for recipe, found in ladder.areas.items():
        entries = [ladder.parent, *(entry for entry, line in ladder.rungs if line == recipe)]
        kept = [0 if entry.result.collapsed else int(entry.robust[Norm.LINF].sum()) for entry in entries]
        shares = np.array(kept) / len(ladder.parent.correct)
        where = [np.log2(1 / (1 - float(entry.sparsity))) for entry in entries]
        expected = integrate.trapezoid(shares, where) / (where[-1] - where[0])
        assert found == pytest.approx(expected, abs=1e-9)


def test_an_image_survives_its_encoding():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    encoded = png(pixels)
    assert encoded[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = {}, 8
    while place < len(encoded):
        (length,) = struct.unpack(">I", encoded[place : place + 4])
        kind, body = encoded[place + 4 : place + 8], encoded[place + 8 : place + 8 + length]
        assert struct.unpack(">I", encoded[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        place += 12 + length
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (7, 5, 8, 2, 0, 0, 0)
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(5, 22)
    assert (lines[:, 0] == 0).all()
    assert (lines[:, 1:].reshape(5, 7, 3) == pixels).all()


def test_a_gallery_shows_two_witnesses_of_each_norm(tmp_path):
    write(tmp_path)
    (shown,) = (gallery(entry) for entry in read(tmp_path))
    assert len(shown) == 3
    assert all(len(group.pieces) == 2 and len(piece.images) == 3 for group in shown for piece in group.pieces)


def test_numbers_are_spelt_for_readers():
    assert percent(Fraction(1, 3)) == "33.3"
    assert [signed(Fraction(1, 100)), signed(Fraction(-1, 100)), signed(Fraction(-1, 10**6))] == ["+1.0", "−1.0", "0.0"]
    assert [metric(999), metric(4990), metric(1_234_567)] == ["999", "4.99\u202fk", "1.23\u202fM"]
    assert thousands(1234567) == "1\u202f234\u202f567"
    assert [p_value(0.0001), p_value(0.0312), p_value(0.5)] == ["< 0.001", "0.031", "0.50"]
    assert [threat(Norm.LINF, "8/255"), threat(Norm.L0, "1"), threat(Norm.L0, "5")] == [
        "L∞ 8/255",
        "L0 1 pixel",
        "L0 5 pixels",
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_formulas_are_quoted(text):
    assert plain(text) == f"'{text}"


def test_links_are_https_or_nothing():
    assert https("https://example.org/paper") == "https://example.org/paper"
    with pytest.raises(ValueError, match="is not an https address"):
        https("javascript:alert(1)")


def test_a_vendored_file_that_changed_stops_the_build():
    folder = resources.files("bench.site") / "static" / "vendor"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    vendor.verify(files)
    with pytest.raises(ArtefactError, match=r"vega\.js"):
        vendor.verify({**files, "vega.js": files["vega.js"] + b" "})
    with pytest.raises(ArtefactError, match=r"stray\.js"):
        vendor.verify({**files, "stray.js": b""})


def test_protocols_of_the_boards_are_those_of_the_files(tmp_path):
    write(tmp_path)
    assert read(tmp_path).boards[0].protocol.digest == load("digits-v1").digest
