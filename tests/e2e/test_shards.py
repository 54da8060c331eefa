"""The script for Slurm as the documents print it: an array of shards, each in a process of its own, then merged."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.processes import bench

SWEEP = """
protocol = "digits-smoke-v1"
limit = 4
threats = ["L2"]
[[grid]]
models = ["embedded:digits-tiny-linf", "embedded:digits-mlp-linf"]
recipes = ["dense"]
"""


def test_an_array_of_shards_gives_the_sweep_once_all_of_them_ran(tmp_path, root):
    text = (root / "bench/site/docs/sweeps.md").read_text("utf-8")
    (script,) = re.findall(r"```sh\n(#!/bin/bash\n.*?)```", text, flags=re.DOTALL)
    (tmp_path / "job.sh").write_text(script)
    (tmp_path / "paper.toml").write_text(SWEEP)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for number in (1, 2):
        slurm = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_COUNT": "2"}
        env = {**os.environ, **slurm, "PATH": path, "PYTHONPATH": str(root)}
        done = subprocess.run(["bash", "job.sh"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        merged = bench(tmp_path, "sweep", "merge", "runs/paper")
        assert merged.returncode == (6 if number == 1 else 0)
        assert ("missing: all of shard 2 of 2" in merged.stderr) is (number == 1)
    status = bench(tmp_path, "sweep", "status", "runs/paper")
    assert status.returncode == 0
    assert "2 done, of 2 cells." in status.stderr
    assert {path.name for path in (tmp_path / "runs" / "paper").glob("digits*")} == {
        "digits-tiny-linf--dense--points-0-4--l2",
        "digits-mlp-linf--dense--points-0-4--l2",
    }
