"""The page for those who pruned a network themselves does what it says, command by command."""

import re
import shlex

import pytest

from bench.cli.main import run
from bench.submission.files import read_result

CHEAP = {
    "evaluate": ["--protocol", "digits-smoke-v1", "--limit", "4"],
    "check": ["--protocol", "digits-smoke-v1", "--limit", "4"],
}
"""Rules for a rehearsal in place of those of the track; the rest of each command is as written."""


@pytest.fixture
def page(root):
    return (root / "bench/site/docs/measure.md").read_text("utf-8")


def test_every_command_of_the_page_runs_in_its_order(page, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    script, module = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(script, "page", "exec"), {})
    (tmp_path / "mynet.py").write_text(module)
    commands = [line for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 8
    said = ""
    for line in commands:
        program, *words = shlex.split(line)
        assert program == "bench"
        assert run([*words, *CHEAP.get(words[0], [])]) == 0, line
        said += capsys.readouterr().err
    mine, fewer = (read_result(tmp_path / "runs" / name / "result.json") for name in ("mine", "fewer"))
    assert mine.pruning.method == "threshold at 80 %"
    assert mine.pruning.claim.sparsity == "4/5"
    assert "transfer" in mine.scenarios
    assert [threat.norm for threat in fewer.threats] == ["Linf", "L2"]
    assert said.count("it is measured first") == 3, said  # by the dry run, by the run, and for the thin network
