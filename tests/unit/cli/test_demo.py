"""The demo clears what an earlier demo made, and nothing else."""

import pytest

from bench.cli import demo
from bench.cli.main import run
from bench.errors import UsageError


def test_a_folder_of_anything_else_is_not_cleared(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work", "utf-8")
    assert run(["demo", "--out", str(tmp_path)]) == 2
    assert run(["demo", "--out", str(tmp_path / "thesis.tex")]) == 2
    assert (tmp_path / "thesis.tex").read_text("utf-8") == "years of work"


def test_what_an_earlier_demo_left_is_cleared(tmp_path):
    out = tmp_path / "demo"
    demo._clear(out)
    (out / "site").mkdir()
    (out / "site" / "index.html").write_text("old", "utf-8")
    demo._clear(out)
    assert [path.name for path in out.iterdir()] == [".demo"]
    (out / ".demo").unlink()
    (out / "kept.txt").write_text("x", "utf-8")
    with pytest.raises(UsageError, match="holds something else than an earlier demo"):
        demo._clear(out)
