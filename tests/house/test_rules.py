"""Rules of the house that no linter knows."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli.main import COMMANDS

BANNED = {"utils", "helpers", "common", "base", "misc", "core"}
ROOT = Path(__file__).resolve().parent.parent.parent
DENSE = ROOT / "submissions" / "digits-v1" / "digits-cnn-linf--dense"
MODULES = sorted((ROOT / "bench").rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_modules_were_found():
    assert len(MODULES) > 50


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_file_holds_one_concept(path):
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= 400
    assert path.stem not in BANNED


def test_no_function_outgrows_a_screen():
    long = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > 60:
                    long.append(f"{name(path)}:{node.lineno} {node.name} has {length} lines")
    assert not long


def test_nothing_is_left_unfinished():
    marks = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    found = [name(path) for path in MODULES if marks.search(path.read_text("utf-8"))]
    assert not found


def test_whatever_starts_processes_lets_them_end_with_it():
    starters = {
        name(path) for path in MODULES if re.search(r"get_context\(|multiprocessing\.Process", path.read_text("utf-8"))
    }
    assert starters >= {"bench/evaluation/executors/local.py", "bench/site/processes.py"}
    assert not [path for path in starters if "end_with_parent" not in (ROOT / path).read_text("utf-8")]


def test_every_command_exists_and_is_told_in_one_line():
    for module, says in COMMANDS.values():
        assert importlib.import_module(module).command.callback or importlib.import_module(module).command.commands
        assert says.endswith(".")
    files = {path.stem for path in (ROOT / "bench" / "cli").glob("*.py")} - {
        "__init__",
        "main",
        "onward",
        "output",
        "reading",
        "pruned",
        "streams",
        "sweeping",
    }
    assert files == {module.rsplit(".", 1)[1] for module, _ in COMMANDS.values()}


def without_torch(code: str) -> subprocess.CompletedProcess[str]:
    """Run code where nothing of the measuring half can be imported."""
    blocked = "import sys\nfrom bench.cli.main import MEASURING\nfor name in MEASURING: sys.modules[name] = None\n"
    return subprocess.run(
        [sys.executable, "-c", blocked + code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )


def test_publishing_works_where_torch_is_not_installed(tmp_path):
    for words in (
        ["--help"],
        ["site", "build", "--out", str(tmp_path / "site")],
        ["list", "protocols"],
        ["protocol", "show", "digits-v1"],
        ["submission", "check", str(DENSE)],
        ["compare", str(DENSE), str(DENSE)],
    ):
        done = without_torch(f"from bench.cli.main import run\nsys.exit(run({words!r}))")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "index.html").exists()


def test_measuring_without_torch_says_what_to_install():
    done = without_torch(
        "from bench.cli.main import run\nsys.exit(run(['evaluate', '--model', 'embedded:digits-tiny-linf']))"
    )
    assert done.returncode == 3
    assert "in a checkout of the project: pip install '.[measure]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_page_and_no_message_installs_what_no_index_carries():
    told = re.compile(r"pip3? install[^\n]*\bprunebench")
    pages = [*MODULES, *ROOT.glob("*.md"), *(ROOT / ".github").rglob("*.md"),
             *(ROOT / ".github").rglob("*.ipynb"), *(ROOT / "bench").rglob("*.html"), *(ROOT / "bench").rglob("*.md"),
             *(ROOT / "leaderboard").rglob("*.html")]  # fmt: skip
    assert len(pages) > 100
    assert not [name(path) for path in pages if told.search(path.read_text("utf-8"))]


def test_help_does_not_import_torch():
    code = (
        "import sys\nfrom bench.cli.main import run\nrun(['--help'])\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'pandas', 'pydantic')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0


def test_an_unknown_command_names_the_near_ones(capsys):
    from bench.cli.main import run

    assert run(["evalute"]) == 2
    assert "Did you mean 'evaluate'" in capsys.readouterr().err
