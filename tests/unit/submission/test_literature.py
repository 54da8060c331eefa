"""Quoted figures are read strictly: as written, with a source, and every problem by name."""

from pathlib import Path

import pytest

from bench.cli.main import run
from bench.submission.check import problems
from bench.submission.literature import examine_literature
from tests.support.sites import literature

COMMITTED = Path(__file__).parents[3] / "submissions" / "literature"


def test_figures_are_kept_as_the_source_writes_them(tmp_path):
    found, wrong = examine_literature(literature(tmp_path))
    assert wrong == []
    setting, claim = found.claims[0]
    assert (setting.epsilon, claim.clean, claim.robust, claim.sparsity) == ("0.031", "80.50", "43.6", "90")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('title = "', 'colour = "red"\ntitle = "', "colour: Extra inputs are not permitted"),
        ('structure = "structured"', 'structure = "vague"', r"settings.0.claims.0.structure: Input should be"),
        ('clean = "80.50"', "clean = 80.50", r"settings.0.claims.0.clean: Input should be a valid string"),
        ('robust = "43.6"', 'robust = "143.6"', r"settings.0.claims.0.robust: String should match"),
        ('robust = "43.6"', 'robust = "90"', r"robust on 90 % and right on 80.50 %"),
        ('epsilon = "0.031"', 'epsilon = "small"', r"settings.0.epsilon: String should match"),
        ("https://arxiv.org", "http://arxiv.org", r"is not an https address"),
        ('id = "quoted"', 'id = "other"', r"id is 'other', expected the name of the file"),
        ('commit = "', '# commit = "', r"source.repository and source.commit belong together"),
        ('method = "Second"', 'method = "First"', r"2 claims are named 'digits-linf-0.031-"),
        ("points = 10000", "points = 0", r"settings.0.points: Input should be greater"),
        ("[source]", "[source", "is not TOML"),
    ],
)
def test_every_problem_is_named(tmp_path, old, new, says):
    path = literature(tmp_path)
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    (sentence,) = problems(path)
    assert says in sentence


def test_two_problems_are_named_at_once(tmp_path, capsys):
    path = literature(tmp_path)
    text = path.read_text("utf-8").replace('clean = "80.50"', 'clean = "many"').replace("points = 10000", "images = 5")
    path.write_text(text, "utf-8")
    assert run(["submission", "check", str(path)]) == 3
    printed = capsys.readouterr().out
    for key in ("settings.0.points", "settings.0.images", "settings.0.claims.0.clean"):
        assert key in printed


def test_what_is_committed_has_no_problem():
    paths = sorted(COMMITTED.iterdir())
    assert paths
    for path in paths:
        assert problems(path) == []
