"""Words are measured as readers see them, and what no reader sees is refused or spelt out."""

import unicodedata

import pytest

from bench.text import faults, hidden, length, printable, tidy

FAMILY = "👨\u200d👩\u200d👧\u200d👦"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("abc", 3),
        ("e\u0301", 1),
        ("é", 1),
        (FAMILY, 1),
        (FAMILY * 3, 3),
        ("👍🏽", 1),
        ("🇩🇪🇫🇷", 2),
        ("🇩🇪🇫", 2),
        ("각", 1),
        ("\u1100\u1161\u11a8", 1),
        ("हिन्दी", 3),
        ("漢字", 2),
    ],
)
def test_a_character_is_what_a_reader_sees(text, count):
    assert length(text) == count


@pytest.mark.parametrize(
    "sign",
    ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\x9b", "\u200b", "\u200e", "\u202e", "\u2066", "\u2028", "\u2029",
     "\ufeff", "\ud800", "\ue000", "\ufdd0", "\uffff", "\U0001fffe", "\U0010ffff", "\u00ad", "\U000e0041"],
)  # fmt: skip
def test_what_does_not_show_is_refused_and_spelt_out(sign):
    assert hidden(sign)
    assert list(faults(f"a{sign}b")) == [f"characters that do not show: U+{ord(sign):04X}"]
    spelt = printable(f"a{sign}b")
    assert spelt.isascii()
    assert spelt.encode().decode("unicode_escape") == f"a{sign}b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" a", "white space at its ends"),
        ("a\u00a0", "white space at its ends"),
        ("a" + "\u0301" * 5, "more than 4 combining marks on one character"),
        ("\u3164\u2800", "nothing that shows"),
        ("\u200d\u0301", "nothing that shows"),
    ],
)
def test_blank_and_towering_text_is_refused(text, expected):
    assert expected in list(faults(text))


@pytest.mark.parametrize("text", ["plain", "Ωμέγα", "שלום", FAMILY, "e\u0301", "ไทย", "می\u200cخواهم", "a  b"])
def test_ordinary_words_of_any_script_have_no_fault_and_are_printed_as_they_are(text):
    assert list(faults(text)) == []
    assert printable(text) == text


def test_line_feeds_stay_where_the_program_put_them():
    assert list(faults("a\nb", lines=True)) == []
    assert list(faults("a\nb")) == ["characters that do not show: U+000A"]
    assert printable("a\nb", lines=True) == "a\nb"
    assert printable("a\nb") == "a\\x0ab"


def test_words_of_others_become_a_line_that_a_record_holds():
    told = tidy("  a warning\n\twith \x1b[31mcolour\u202e and e" + "\u0301" * 9 + " " + "x" * 900, 600)
    assert list(faults(told)) == []
    assert len(told) == 600
    assert told.startswith("a warning with [31mcolour and e x")
    assert told.endswith("…")
    assert not any(unicodedata.category(sign).startswith("C") for sign in told)
