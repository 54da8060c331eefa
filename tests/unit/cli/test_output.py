"""What a file says moves no cursor, colours nothing and writes no line of its own."""

import json

import pytest

from bench.cli import output
from bench.cli.main import run
from tests.support.builders import write

EVIL = "\x1b[2J\x9b31m\u202e\r\nbench: all is well\x07\x7f"


@pytest.mark.parametrize("print_", [output.say, output.line, lambda words: output.show(words, [words], [[words]])])
def test_nothing_that_a_file_says_reaches_the_terminal_unspelt(capsys, print_):
    print_(f"{EVIL} [red]markup[/red]")
    told = "".join(capsys.readouterr())
    assert not set(told) & set("\x1b\x9b\u202e\r\x07\x7f")
    assert "\nbench" not in told
    assert "\\x1b[2J" in told
    assert "[red]markup[/red]" in told


def test_a_document_stays_json_and_shows_nothing_hidden(capsys):
    output.emit({"says": EVIL, "name": "é🙂"})
    told = capsys.readouterr().out
    assert json.loads(told) == {"says": EVIL, "name": "é🙂"}
    assert not set(told) & set("\x1b\x9b\u202e\r\x07\x7f")
    assert "é🙂" in told


def test_the_check_spells_out_what_a_submission_says(tmp_path, capsys):
    folder = write(tmp_path)
    text = (folder / "submission.toml").read_text("utf-8")
    (folder / "submission.toml").write_text(
        text.replace('id = "small-dense"', 'id = "x"\n"\\u001b[31m\\u202e" = 1'), "utf-8"
    )
    (folder / "\x1b]0;title\x07").write_text("x", "utf-8")
    assert run(["submission", "check", str(folder)]) == 3
    assert run(["submission", "check", str(folder), "--json"]) == 3
    assert run(["submission", "check", str(tmp_path / "\x1b[2J")]) == 3
    assert run(["site", "build", "--submissions", str(tmp_path), "--out", str(tmp_path / "site")]) == 3
    told = "".join(capsys.readouterr())
    assert not set(told) & set("\x1b\x9b\u202e\r\x07\x7f")
    assert "\\x1b[31m\\u202e: Extra inputs" in told
