"""Every command that the documents show is one that works."""

import itertools
import re
import shlex
from pathlib import Path

import click
import pytest

from bench.cli.main import COMMANDS, cli, run
from bench.models.architecture import ARCHITECTURES
from bench.protocol.load import names
from bench.pruning.recipe import RECIPES

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "bench/site/docs").glob("*.md"))
PAGES = ["README.md", ".github/CONTRIBUTING.md", *DOCUMENTS]
COMMAND = re.compile(r"(?:^|`)bench ([a-z][^`\n]*)", re.MULTILINE)
BLOCK = re.compile(r"^```(?:console|sh)\n(.*?)^```|((?:^ {4}bench .*\n)+)", re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    return sorted({found.strip() for page in PAGES for found in COMMAND.findall((ROOT / page).read_text("utf-8"))})


def blocks() -> list[str]:
    """Return the commands that stand on lines of their own, to be typed as they are."""
    found = [
        line.strip().partition("bench ")[2]
        for page in PAGES
        for block in BLOCK.findall((ROOT / page).read_text("utf-8"))
        for line in "".join(block).splitlines()
    ]
    return sorted({line for line in found if line})


def test_the_documents_show_commands():
    assert len(DOCUMENTS) >= 12
    assert len(commands()) >= 60
    assert len(blocks()) >= 30


@pytest.mark.parametrize("line", blocks())
def test_a_command_of_a_block_is_taken_as_it_stands(line, monkeypatch):
    """Parsing finds what is unknown, missing or no number; nothing runs."""
    words = shlex.split(line, comments=True)
    command: click.Command = cli
    context = click.Context(cli, info_name="bench", **cli.context_settings)
    while isinstance(command, click.Group) and words and words[0] in command.list_commands(context):
        name = words.pop(0)
        command = command.get_command(context, name)
        context = click.Context(command, info_name=name, parent=context)
    for each in command.params:
        if isinstance(each.type, click.Path):
            monkeypatch.setattr(each.type, "exists", False)  # the commands before it would have made the file
    command.make_context(context.info_name, words, parent=context.parent)


@pytest.mark.parametrize("line", commands())
def test_a_shown_command_exists_with_these_options(line, capsys):
    words = shlex.split(line.replace("|", " "))
    assert words[0] in COMMANDS
    depth = 1 if words[0] not in {"protocol", "submission", "site", "models", "data", "verifier", "challenge"} else 2
    depth += words[:2] in (["sweep", "status"], ["sweep", "merge"])
    assert run([*words[:depth], "--help"]) == 0
    told = capsys.readouterr().out
    for option in (word for word in words if word.startswith("--")):
        assert option in told


def test_shown_commands_name_protocols_recipes_and_architectures_that_exist():
    known = {"--protocol": names(), "--recipe": [*RECIPES, "NAME", "mine"], "--arch": [*ARCHITECTURES, "NAME"]}
    seen = 0
    for line in commands():
        words = shlex.split(line.replace("|", " "))
        for option, value in itertools.pairwise(words):
            if option in known and not value.endswith(".toml"):
                seen += 1
                assert value in known[option], line
    assert seen >= 5


@pytest.mark.parametrize("target", ["demo", "test", "check", "site"])
def test_the_makefile_has_what_the_readme_promises(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_a_shown_evaluation_runs(tmp_path, capsys, monkeypatch):
    """The first command of the section, as written, in rehearsal."""
    monkeypatch.chdir(tmp_path)
    (first,) = [line for line in commands() if line.startswith("evaluate --model embedded:digits-cnn-linf --recipe")]
    assert run([*shlex.split(first), "--protocol", "digits-smoke-v1", "--limit", "10"]) == 0
    assert "magnitude-global-90" in capsys.readouterr().out.replace("\n", "")


def test_links_lead_somewhere():
    for page in [*PAGES, ".github/ARCHITECTURE.md", ".github/MEASURE.ipynb"]:
        text = (ROOT / page).read_text("utf-8")
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            if not target.startswith("https://") and "leaderboard/docs/" not in target:  # those are built with the site
                assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"
