"""Every command that the documents show is one that works."""

import itertools
import re
import shlex
from pathlib import Path

import pytest

from bench.cli.main import COMMANDS, run
from bench.models.architecture import ARCHITECTURES
from bench.protocol.load import names
from bench.pruning.recipe import RECIPES

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = ["README.md", ".github/CONTRIBUTING.md", ".github/MEASURE.md", ".github/SEED.md", ".github/SWEEPS.md"]
COMMAND = re.compile(r"(?:^|`)bench ([a-z][^`\n]*)", re.MULTILINE)


def commands() -> list[str]:
    return sorted({found.strip() for page in PAGES for found in COMMAND.findall((ROOT / page).read_text("utf-8"))})


def test_the_documents_show_commands():
    assert len(commands()) >= 8


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
    known = {"--protocol": names(), "--recipe": list(RECIPES), "--arch": [*ARCHITECTURES, "NAME"]}
    seen = 0
    for line in commands():
        words = shlex.split(line.replace("|", " "))
        for option, value in itertools.pairwise(words):
            if option in known:
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
            if not target.startswith("https://"):
                assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"
