"""An error in a file of rules names the line of the field."""

import pytest

from bench.protocol.origin import Origin, lines_of

TEXT = '''\
name = "mine"
words = """
fake = 1
[fake]
"""

[data] # a comment
points = 10
ids = [
  1,
  2,
]
"quoted key".inner = 3

[[threats]]
norm = "Linf"

[[threats]]
norm = "L2"
settings = { a = 1 }

[threats.more]
deep = 1

[[presets.smoke.threats]]
norm = "L0"
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("name",), 1),
        (("words",), 2),
        (("data",), 7),
        (("data", "points"), 8),
        (("data", "ids"), 9),
        (("data", "quoted key", "inner"), 13),
        (("threats", 0, "norm"), 16),
        (("threats", 1), 18),
        (("threats", 1, "norm"), 19),
        (("threats", 1, "more", "deep"), 23),
        (("presets", "smoke", "threats", 0, "norm"), 26),
    ],
)
def test_every_table_and_field_has_its_line(place, line):
    assert lines_of(TEXT)[place] == line


def test_what_looks_like_a_field_inside_a_text_is_none():
    assert not {("fake",), ("words", "fake")} & set(lines_of(TEXT))


def test_a_field_that_is_missing_has_the_line_of_its_table():
    origin = Origin("x.toml", TEXT)
    assert origin.at("data", "split") == "x.toml, line 7, data.split"
    assert origin.at("threats", 1, "settings", "a") == "x.toml, line 20, threats.1.settings.a"
    assert origin.at("elsewhere") == "x.toml, elsewhere"


def test_what_another_protocol_says_is_said_to_be_its():
    origin = Origin("x.toml", TEXT, base="cifar10-v1", moved={("threats", 5): ("threats", 1)})
    assert origin.at("attacks", "square") == "x.toml, attacks.square (of cifar10-v1)"
    assert origin.at("threats", 5, "norm") == "x.toml, line 19, threats.1.norm"
