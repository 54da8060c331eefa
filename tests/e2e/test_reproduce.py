"""The command that a record spells finds the same result, for a file of weights behind a normalisation too."""

import json
import os
import shutil
import subprocess
import sys
from importlib import resources

from bench.site.reproduce import words
from bench.submission.files import read_result

NETWORK = ["--arch", "digits-tiny", "--mean", "1/3", "--std=0.3"]


def run(folder, spoken):
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", *spoken],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=settings,
    )
    assert done.returncode == 0, done.stderr
    return done


def told(path):
    """Return what a result says, less the clock and the meter."""
    result = json.loads(path.read_text("utf-8"))
    for measured in ("seconds", "latency", "energy"):
        result["cost"].pop(measured, None)
    return result


def test_the_command_of_a_record_measures_the_same_again(tmp_path):
    weights = resources.files("bench.models") / "embedded" / "digits-tiny-linf.safetensors"
    shutil.copy(str(weights), tmp_path / "net.safetensors")
    spoken = ["bench", "evaluate", "--model", "net.safetensors", *NETWORK, "--protocol", "digits-smoke-v1"]
    started = run(tmp_path, [*spoken, "--out", "first"])
    # both take seconds to import, and nothing of them is needed
    assert "torch._dynamo" not in started.stderr
    assert "sklearn" not in started.stderr
    first = read_result(tmp_path / "first" / "result.json")
    assert first.model.normalisation is not None
    assert (first.model.normalisation.mean, first.model.normalisation.std) == ((1 / 3,), (0.3,))
    run(tmp_path, [*words(first), "--out", "second"])
    assert told(tmp_path / "first" / "result.json") == told(tmp_path / "second" / "result.json")
