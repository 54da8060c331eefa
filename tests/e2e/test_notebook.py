"""The notebook of the documentation runs in a kernel as a reader runs it, and shows what its runs hold."""

import json
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from bench.submission.arrays import read_arrays
from bench.submission.files import read_result
from bench.threats import Norm

WEIGHTS = 16 * 9 + 256 * 64 + 64 * 10
ZEROS = round(0.8 * WEIGHTS)


class Ran(NamedTuple):
    """What came of the notebook: its cells with outputs, every message of the kernel, and the folder of its runs."""

    cells: list
    messages: list
    runs: Path

    def outputs(self, word):
        """Return what the one cell that holds a word left behind."""
        (cell,) = [cell for cell in self.cells if cell.cell_type == "code" and word in cell.source]
        return cell.outputs

    def printed(self, word, stream="stdout"):
        return "".join(out.text for out in self.outputs(word) if out.output_type == "stream" and out.name == stream)

    def shown(self, word):
        """Return the value of a cell, by kind."""
        (value,) = [out.data for out in self.outputs(word) if out.output_type == "execute_result"]
        return value


def read(root):
    return nbformat.read(root / ".github" / "MEASURE.ipynb", as_version=4)


@pytest.fixture(scope="module")
def ran(tmp_path_factory, request):
    notebook = read(request.config.rootpath)
    messages = []

    class Client(NotebookClient):
        def process_message(self, msg, cell, cell_index):
            messages.append(msg)
            return super().process_message(msg, cell, cell_index)

    notebook.cells.append(nbformat.v4.new_code_cell("print(runs)"))
    folder = tmp_path_factory.mktemp("notebook")
    environment = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("BENCH_")}
    environment |= {"PYTHONPATH": str(request.config.rootpath), "IPYTHONDIR": str(folder), "TMPDIR": str(folder)}
    client = Client(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute(env=environment)
    return Ran(notebook.cells, messages, Path(notebook.cells[-1].outputs[0].text.strip()))


def table(html):
    """Return the cells of a table, row by row, the header first."""
    rows = re.findall(r"<tr.*?</tr>", html, re.DOTALL)
    return [re.findall(r"<t[hd]>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]


def records(html):
    header, *rows = table(html)
    return [dict(zip(header[-len(row) :], row, strict=True)) for row in (row[-len(header) :] for row in rows)]


def test_nothing_that_ran_is_committed(root):
    code = [cell for cell in read(root).cells if cell.cell_type == "code"]
    assert len(code) >= 10
    assert not [cell.source for cell in code if cell.outputs or cell.execution_count is not None]


def test_the_table_holds_the_counts_of_the_run(ran):
    dense = read_result(ran.runs / "dense" / "result.json")
    caption, columns, row, *told = ran.printed("dense.table()").splitlines()
    assert told == [f"{flag.check} ({flag.level}): {flag.says}" for flag in dense.flags]
    assert caption.startswith("Weights left")
    assert columns.split() == ["entry", "points", "weights", "sparse", "clean", "Linf", "1/10", "L2", "1/2", "seconds"]
    shares = [100 * count / 50 for count in (dense.clean.correct, *(threat.robust for threat in dense.threats))]
    assert row.split()[:2] == ["dense", "50"]
    assert row.split()[3:-1] == ["0.0", *(f"{share:.1f}" for share in shares)]
    assert dense.clean.correct > 25


def test_own_tensors_were_attacked(ran):
    counts = re.fullmatch(
        r"Linf 1/10: (\d+) robust of 50 points \((\d+) correct; broken by (.*)\)\n", ran.printed("bench.attack(network")
    )
    robust, correct = int(counts[1]), int(counts[2])
    assert correct - robust == sum(int(broken.split()[1]) for broken in counts[3].split(", "))
    told = dict(line.split() for line in ran.shown("bench.attack(network")["text/plain"].splitlines()[:8])
    assert int(float(told["count"])) == correct
    assert 0 < float(told["min"]) < float(told["50%"])


def test_pruning_reaches_what_was_asked_for_layer_by_layer(ran):
    assert ran.printed("bench.prune(") == f"0.8000 of {WEIGHTS} weights are zero\n"
    layers = records(ran.shown("bench.prune(")["text/html"])
    assert [layer["name"] for layer in layers] == ["0.weight", "4.weight", "6.weight"]
    assert [int(layer["weights"]) for layer in layers] == [144, 16384, 640]
    assert sum(int(layer["zeros"]) for layer in layers) == ZEROS
    assert float(ran.shown("bench.measure(")["text/plain"]) == ZEROS / WEIGHTS


def test_the_data_frame_and_the_comparison_hold_the_counts_of_both_runs(ran):
    dense, sparse = (read_result(ran.runs / name / "result.json") for name in ("dense", "sparse"))
    rows = records(ran.shown("to_pandas()")["text/html"])
    assert [(row["entry"], row["norm"], row["epsilon"], int(row["robust"])) for row in rows] == [
        (name, threat.norm, threat.epsilon, threat.robust)
        for name, result in (("dense", dense), ("sparse", sparse))
        for threat in result.threats
    ]
    compared = records(ran.shown("sparse.compare(dense)")["text/html"])
    assert [row["what"] for row in compared] == ["clean", "Linf 1/10", "L2 1/2"]
    for row, norm in zip(compared[1:], (Norm.LINF, Norm.L2), strict=True):
        ours, theirs = sparse.threat(norm).best_known, dense.threat(norm).best_known
        assert (float(row["first"]), float(row["second"])) == (ours / 50, theirs / 50)
        assert int(row["only_first"]) - int(row["only_second"]) == ours - theirs
        assert float(row["kept"]) == pytest.approx(ours / theirs, abs=1e-6)


def test_the_pruned_network_is_held_against_its_parent(ran):
    dense, sparse = (read_result(ran.runs / name / "result.json") for name in ("dense", "sparse"))
    assert sparse.model.parent_sha256 == dense.model.weights_sha256
    assert (sparse.pruning.method, sparse.pruning.claim.sparsity, sparse.pruning.zeros) == ("L1, global", "4/5", ZEROS)
    assert sparse.scenarios["transfer"].robust[Norm.LINF] >= sparse.threat(Norm.LINF).robust


def test_the_chart_draws_the_distances_of_both_runs(ran):
    html = ran.shown(".curve(")["text/html"]
    start = html.rindex("})({") + 3
    chart, _ = json.JSONDecoder().raw_decode(html[start:])
    band, rule, said, line = chart["layer"]
    assert band["data"] == line["data"]
    drawn = line["data"]["values"]
    for name in ("sparse", "dense"):
        points = read_arrays(ran.runs / name / "points.npz")
        mine = [row for row in drawn if row["series"] == name]
        assert len(mine) == 11
        for row in mine:
            beyond = np.mean(points["distance_Linf"] > float(Fraction(row["says"])) * (1 + 1e-6))
            assert row["robust"] == pytest.approx(beyond, abs=1e-6), (name, row["says"])
    assert len(drawn) == 22
    assert rule["data"]["values"] == said["data"]["values"] == [{"epsilon": 0.1, "says": "1/10"}]
    assert "var(" not in json.dumps(chart)


def test_a_network_by_name_is_pruned_and_its_parent_measured_first(ran):
    named = read_result(ran.runs / "named" / "result.json")
    assert (named.pruning.recipe, named.pruning.target) == ("magnitude-global", "4/5")
    told = ran.printed("named = bench", "stderr")
    assert "No run of the dense parent embedded:digits-cnn-linf under these rules is at hand" in told
    assert "parent_run=False" in told
    stand = named.scenarios["transfer"].robust[Norm.LINF]
    assert ran.printed("record.scenarios") == (
        f"Of 50 points {stand} stand against what was made for the parent,\n"
        f"{named.threat(Norm.LINF).robust} against attacks of their own, too.\n"
    )
    (row,) = records(ran.shown("named = bench")["text/html"])
    assert (row["entry"], int(row["robust"])) == ("named", named.threat(Norm.LINF).robust)


def test_the_network_by_name_is_attacked_on_own_tensors(ran):
    told = ran.shown("bench.load(")["text/plain"]
    robust, correct = map(int, re.match(r"L0 2: (\d+) robust of 20 points \((\d+) correct; ", told).groups())
    assert 16 <= correct <= 20
    assert robust < correct


def test_a_bar_moves_while_the_notebook_works_and_leaves_nothing(ran):
    pictures = {}
    for message in ran.messages:
        if message["msg_type"] == "update_display_data":
            shown = message["content"]["data"]["text/html"]
            pictures.setdefault(message["content"]["transient"]["display_id"], []).append(shown)
    assert len(pictures) == 5  # two attacks, three evaluations
    for seen in pictures.values():
        *moving, last = seen
        done = [re.match(r'<progress value="(\d+)" max="(\d+)"></progress> \1/\2 ', shown) for shown in moving]
        assert all(done)
        assert all(int(share[1]) <= int(share[2]) for share in done)
        assert not last
    # the parent's run comes first under the same bar
    names = [shown for seen in pictures.values() for shown in seen if "digits-cnn-linf--dense" in shown]
    assert names
