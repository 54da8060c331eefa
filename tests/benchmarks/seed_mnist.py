"""Repeat the MNIST experiment of Merkle et al. from nothing, and draw it beside their numbers.

``python tests/benchmarks/seed_mnist.py OUT`` trains LeNet-5 on the MNIST training images at hand, prunes it by global
magnitude to compressions 1, 2, 4 … 64 with retraining after each, attacks all seven networks under Linf, L2 and L0,
and then with the attacks of their code (PGD and C&W of Foolbox, on softmax outputs). What is in OUT is not done again,
so an interrupted run goes on. ``seed_mnist.json`` beside this file takes the numbers, ``bench/site/docs`` the figure
(``seed_mnist.svg``), and the table of ``seed.md`` there is printed; ``--draw`` in the place of OUT redraws from the
JSON alone.

Source: Merkle, Samsinger and Schöttle 2021, arXiv:2108.08560; their raw results, averaged over runs, are kept in the
JSON (read from ``BENCH_DATA_DIR/literature/seed_results.csv`` where that is at hand).
"""

import argparse
import csv
import json
import math
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import bench  # noqa: E402 - this checkout, whatever else is installed
from bench.atomic import write_atomic  # noqa: E402
from bench.data.dataset import DATASETS, EvalSet  # noqa: E402
from bench.data.official import data_folder  # noqa: E402
from bench.interface.result import Result  # noqa: E402
from bench.models.source import ModelRef, load  # noqa: E402
from bench.models.weights import fill, read, save  # noqa: E402

RULES, NUMBERS = (HERE / f"seed_mnist.{ending}" for ending in ("toml", "json"))
FIGURE = HERE.parents[1] / "bench" / "site" / "docs" / "seed_mnist.svg"
RATES = tuple(2**power for power in range(7))
RADII = ("2/255", "4/255", "8/255", "16/255", "32/255")
CW_POINTS, CW_STEPS = 25, 1000
"""Of their C&W attack, which they ran on 1,000 images with up to 5,000 steps."""
L2_KEYS = ("their_cw", "their_cw_logits", "cw_same_points")
LINES = ("their networks, their attacks", "our networks, their attacks", "our networks, this benchmark")


def networks(out: Path, lessons: int) -> dict[int, nn.Module]:
    """Return the network of each compression, trained and pruned where it is not in ``out`` yet."""
    weights = out / "lenet5" / "lenet5.safetensors"
    if not weights.exists():
        last = lessons + lessons // 9  # a tenth of all for validation, as theirs
        bench.train("mnist-lenet5", data="mnist", points=(0, lessons), validate=(lessons, last), out=weights.parent)
    learnt = json.loads((weights.parent / "training.json").read_text("utf-8"))["points"]["points"]
    if learnt != lessons:
        sys.exit(f"{str(weights)!r} was trained on {learnt} images, not on {lessons}; name another folder.")
    found = {1: load(ModelRef.parse(str(weights))).classifier}
    points = DATASETS["mnist"].load("train", range(lessons))
    calibration = points.images(), points.label_tensor()
    for rate in RATES[1:]:
        path = out / f"pruned-{rate}.safetensors"
        if path.exists():
            found[rate] = load(ModelRef.parse(str(weights))).classifier
            fill(found[rate], read(path), where=repr(path.name), what="mnist-lenet5")
            continue
        pruned = bench.prune(
            found[rate // 2], "magnitude-global", 1 - Fraction(1, rate), calibration=calibration, regime="ft"
        )
        save(path, pruned.network.state_dict())
        found[rate] = pruned.network
        sys.stderr.write(f"pruned to 1/{rate}\n")
    return found


def measured(out: Path, rate: int, network: nn.Module, points: int) -> Result:
    """Return the result of this benchmark's attacks; a finished one is read."""
    folder, weights = out / f"points-{points}" / f"compression-{rate}", str(out / "lenet5" / "lenet5.safetensors")
    if (folder / "result.json").exists():
        return Result.read(folder)
    if rate == 1:
        return bench.evaluate(weights, protocol=RULES, points=points, out=folder)
    return bench.evaluate(
        network,
        parent=weights,
        method="magnitude-global, retrained after every doubling of the compression",
        structure="unstructured",
        sparsity=1 - Fraction(1, rate),
        regime="iterative",
        protocol=RULES,
        points=points,
        out=folder,
    )


def their_attacks(network: nn.Module, points: EvalSet) -> dict[str, Any]:
    """Attack as their code does, through Foolbox: PGD with its defaults and C&W with their settings, on a softmax.

    Then each on logits, as Foolbox asks for, C&W with its usual step and constant: what the differences come from.
    """
    softmax = nn.Sequential(network, nn.Softmax(dim=1)).eval()
    return {
        "pgd": _pgd(softmax, points),
        "pgd_logits": _pgd(network, points),
        "cw": _carlini_wagner(softmax, points, stepsize=1, initial_const=100),
        "cw_logits": _carlini_wagner(network, points, stepsize=0.01, initial_const=1e-3),
    }


def _pgd(network: nn.Module, points: EvalSet) -> dict[str, int]:
    """Return how many points stand at each radius."""
    import foolbox

    torch.manual_seed(0)  # noqa: TID251 - Foolbox draws its random starts from torch's own numbers
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    radii = [float(Fraction(radius)) for radius in RADII]
    _, _, fooled = foolbox.attacks.LinfPGD()(model, points.images(), points.label_tensor(), epsilons=radii)
    return {radius: int((~row).sum()) for radius, row in zip(RADII, fooled, strict=True)}


def _carlini_wagner(network: nn.Module, points: EvalSet, **settings: float) -> float | None:
    """Return the median distance of the first points; what is not fooled lies at no distance."""
    import foolbox

    few = points.head(CW_POINTS)
    images, labels = few.images(), few.label_tensor()
    attack = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=9, steps=CW_STEPS, confidence=0, abort_early=True, **settings
    )
    found, _, _ = attack(foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu"), images, labels, epsilons=None)
    right = network(found).argmax(dim=1) == labels
    distance = (found - images).flatten(1).norm(dim=1).masked_fill(right, math.inf)
    return _finite(distance.quantile(0.5))


def row(rate: int, result: Result, theirs: dict[str, Any]) -> dict[str, Any]:
    """Return the counts and medians of one network."""
    record = result.record
    curves = {
        norm: dict(zip(map(str, curve.epsilon), map(int, curve.robust), strict=True))
        for norm, curve in record.curves.items()
    }
    distance = {norm: result.points[f"distance_{norm}"] for norm in ("L2", "L0")}
    return {
        "compression": rate,
        "points": record.data.points,
        "prunable": record.pruning.prunable,
        "zeros": record.pruning.zeros,
        "clean": record.clean.correct,
        "robust": curves,
        "median": {norm: _finite(np.median(values)) for norm, values in distance.items()},
        "cw_same_points": _finite(np.median(distance["L2"][:CW_POINTS])),
        "flags": sorted({flag.check for flag in result.flags}),
        **{f"their_{name}": found for name, found in theirs.items()},
    }


def _finite(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None


def published() -> list[dict[str, Any]]:
    """Return the means over their five runs, as shares and distances; without their results, those kept before."""
    path = data_folder() / "literature" / "seed_results.csv"
    if not path.exists():
        kept: list[dict[str, Any]] = json.loads(NUMBERS.read_text("utf-8"))["published"]
        return kept
    with path.open(encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line["arch"] == "CNN"]
    return [
        {
            "compression": int(line["compression_rate_nominal"]),
            "runs": int(line["n_runs"]),
            "clean": float(line["clean_mean"]),
            "pgd": {radius: float(line[f"pgd_RA_eps_{radius}"]) for radius in RADII},
            "median_cw": float(line["median_L2_CW(unreliable)"]),
            "median_bb": float(line["median_L0_BB_features"]),
        }
        for line in lines
        if line["recipe"] == "magnitude-global-unstructured"
    ]


def panels(numbers: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the points of the figure: panel, compression, value, line."""
    theirs, both, ours = LINES
    found: list[dict[str, Any]] = []

    def add(panel: str, rate: int, line: str, value: float | None) -> None:
        if value is not None:
            found.append({"panel": panel, "compression": rate, "line": line, "value": value})

    for told in numbers["published"]:
        rate = told["compression"]
        add("clean accuracy, %", rate, theirs, 100 * told["clean"])
        for radius in RADII[2:]:
            add(f"robust at Linf {radius}, %", rate, theirs, 100 * told["pgd"][radius])
        add("median L2 distance", rate, theirs, told["median_cw"])
        add("median L0 distance, pixels", rate, theirs, told["median_bb"])
    for mine in numbers["measured"]:
        rate, share = mine["compression"], 100 / mine["points"]
        add("clean accuracy, %", rate, ours, share * mine["clean"])
        for radius in RADII[2:]:
            add(f"robust at Linf {radius}, %", rate, both, share * mine["their_pgd"][radius])
            add(f"robust at Linf {radius}, %", rate, ours, share * mine["robust"]["Linf"][radius])
        add("median L2 distance", rate, both, mine["their_cw"])
        add("median L2 distance", rate, ours, mine["cw_same_points"])
        add("median L0 distance, pixels", rate, ours, mine["median"]["L0"])
    return found


def table(numbers: dict[str, Any]) -> str:
    """Return the numbers as the table of seed.md; in each cell theirs, ours by their attack, ours by this benchmark."""
    radii = RADII[2:]
    lines = [
        ["compression", "clean %", *(f"Linf {radius} %" for radius in radii), "median L2", "median L0"],
        ["---"] * (4 + len(radii)),
    ]
    for told, mine in zip(numbers["published"], numbers["measured"], strict=True):
        share = 100 / mine["points"]
        lines.append([
            str(mine["compression"]),
            f"{100 * told['clean']:.1f}, {share * mine['clean']:.1f}",
            *(
                f"{100 * told['pgd'][radius]:.1f}, {share * mine['their_pgd'][radius]:.1f}, "
                f"{share * mine['robust']['Linf'][radius]:.1f}"
                for radius in radii
            ),
            ", ".join(f"{value:.2f}" for value in (told["median_cw"], *(mine[key] for key in L2_KEYS))),
            f"{told['median_bb']:g}, {mine['median']['L0']:g}",
        ])  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def draw(numbers: dict[str, Any]) -> str:
    """Return the figure as SVG: six panels, three lines."""
    import altair as alt
    import vl_convert

    rows = panels(numbers)
    charts = [
        alt.Chart(alt.InlineData([point for point in rows if point["panel"] == panel]))
        .mark_line(point=alt.OverlayMarkDef(size=22))
        .encode(
            x=alt.X("compression:Q", title="compression rate", axis=alt.Axis(values=list(RATES), format="d")).scale(
                type="log", base=2
            ),
            y=alt.Y("value:Q", title=panel).scale(zero=not panel.startswith("clean")),
            color=alt.Color("line:N", title=None, legend=alt.Legend(orient="bottom", columns=1, labelLimit=400)).scale(
                domain=list(LINES), range=["#8a8f98", "#b4540a", "#1257a8"]
            ),
        )
        .properties(width=230, height=160)
        for panel in dict.fromkeys(point["panel"] for point in rows)
    ]
    title = f"LeNet-5 on MNIST, global magnitude, iterative; {numbers['measured'][0]['points']} test images"
    chart = alt.concat(*charts, columns=3).properties(title=title)
    svg: str = vl_convert.vegalite_to_svg(chart.to_json())
    return svg


def main() -> None:
    """Measure what is not there yet, write the numbers, draw the figure."""
    read_words = argparse.ArgumentParser(description="Repeat the MNIST experiment of arXiv:2108.08560.")
    read_words.add_argument("out", type=Path, nargs="?", help="folder for networks and results")
    read_words.add_argument("--points", type=int, default=200, help="test images, at most 1000")
    read_words.add_argument("--lessons", type=int, default=9000, help="training images; theirs were 54000")
    read_words.add_argument("--draw", action="store_true", help="redraw from the numbers alone")
    said = read_words.parse_args()
    if said.draw == (said.out is not None):
        read_words.error("name a folder, or say --draw")
    if not said.draw:
        _measure(said.out.resolve(), said.points, said.lessons)
    numbers = json.loads(NUMBERS.read_text("utf-8"))
    FIGURE.write_text(draw(numbers), "utf-8")
    sys.stdout.write(table(numbers))


def _measure(out: Path, count: int, lessons: int) -> None:
    points, rows = DATASETS["mnist"].load("test", range(count)), []
    for rate, network in networks(out, lessons).items():
        result, kept = measured(out, rate, network, count), out / f"points-{count}" / f"theirs-{rate}.json"
        if not kept.exists():
            write_atomic(kept, json.dumps(their_attacks(network, points)).encode())
        rows.append(row(rate, result, json.loads(kept.read_text("utf-8"))))
        sys.stderr.write(f"compression {rate}: {result!r}\n")
    numbers = {"lessons": lessons, "cw_points": CW_POINTS, "cw_steps": CW_STEPS, "measured": rows}
    write_atomic(NUMBERS, (json.dumps(numbers | {"published": published()}, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
