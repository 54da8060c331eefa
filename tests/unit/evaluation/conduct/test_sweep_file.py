"""A sweep's file says what the options say, and an error in it has its line."""

from fractions import Fraction

import pytest

from bench.cli import sweep
from bench.cli.main import run
from bench.errors import InputError
from bench.evaluation.conduct.sweep_file import read_sweep
from bench.threats import Norm

FILE = """\
protocol = "digits-smoke-v1"
preset = "fast"
threats = ["L2"]
limit = 3

[[grid]]
models = ["embedded:digits-tiny-linf"]
recipes = ["magnitude-global"]
sparsities = ["1/2", "0.9"]

[[grid]]
models = ["pruned/lamp.safetensors"]
arch = "digits-tiny"
parent = "dense.safetensors"
method = "LAMP"
"""


def test_paths_are_beside_the_file_and_shares_are_exact(tmp_path):
    (tmp_path / "paper.toml").write_text(FILE)
    read = read_sweep(tmp_path / "paper.toml")
    assert (read.protocol, read.preset, read.threats, read.limit) == ("digits-smoke-v1", "fast", (Norm.L2,), 3)
    ours, came = read.blocks(tmp_path)
    assert ours.sparsities == (Fraction(1, 2), Fraction(9, 10))
    assert came.models == (str(tmp_path / "pruned" / "lamp.safetensors"),)
    assert came.said.parent == str(tmp_path / "dense.safetensors")
    assert (came.file.architecture, came.said.method) == ("digits-tiny", "LAMP")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('["1/2", "0.9"]', "[0.9]"), "paper.toml, line 9, grid.0.sparsities.0: a share is written as text"),
        (("limit = 3", "limit = 0"), "paper.toml, line 4, limit: Input should be greater than or equal to 1, got 0"),
        (("preset", "presets"), "paper.toml, line 2, presets: Extra inputs are not permitted"),
        (("[[grid]]", "[[grid]"), "no sweep can be read from"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, change, says):
    (tmp_path / "paper.toml").write_text(FILE.replace(*change))
    with pytest.raises(InputError) as error:
        read_sweep(tmp_path / "paper.toml")
    assert says in str(error.value)


def test_the_plan_tells_every_cell_and_a_file_goes_with_no_option_that_names_cells(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "paper.toml").write_text(FILE.partition('\n[[grid]]\nmodels = ["pruned')[0])
    assert run(["sweep", "--file", "paper.toml", "--dry-run", "--json", "--seed", "4"]) == 0
    said = capsys.readouterr().out
    for share in ("dense", "magnitude-global-50", "magnitude-global-90"):
        assert f'"digits-tiny-linf--{share}--points-0-3--l2--preset-fast--seed-4"' in said
    assert said.count('"state": "to do"') == 3
    assert run(["sweep", "--file", "paper.toml", "--recipes", "dense"]) == 2
    assert "--recipes names cells, and so does --file" in capsys.readouterr().err
    assert run(["sweep", "--shard", "3/2"]) == 2
    assert "'3/2' is no shard" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_every_cell_is_measured_as_the_options_say():
    words = ["--models", "embedded:digits-tiny-linf", "--recipes", "magnitude-global", "--sparsities", "1/2"]
    words += ["--memory", "0.5", "--batch-size", "7", "--limit", "3", "--seed", "5", "--threat", "L0"]
    given = sweep.command.make_context("sweep", [*words, "--points", "0:4", "--preset", "fast"]).params
    cells, _, _ = sweep._cells(**given)
    assert len(cells) == 2
    for request in (cell.plan.request for cell in cells):
        assert (request.memory, request.batch_size, request.limit, request.seed) == (2**29, 7, 3, 5)
        assert (request.norms, request.points, request.device, request.engine) == ((Norm.L0,), (0, 4), "auto", "native")
