"""Draw clean and PGD accuracy over compression, for real CIFAR-10 networks and the embedded ones, with and without bn.

``python tests/benchmarks/pruning_figure.py MATERIAL OUT [NAME ...]`` measures every unstructured recipe, with 256
training images for those that look at any, and writes ``OUT.json`` and ``OUT.svg``; ``--draw`` redraws from the JSON
alone. What stands in the JSON is not measured again: delete its rows to have them anew. On the first 256 test images:
PGD with 3 steps of a quarter of the radius on those that are right, with 20 on those that still stand; a sketch of the
field, and no verdict of the benchmark.
"""

import copy
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.cli import reading
from bench.data.dataset import DATASETS
from bench.models.source import ModelRef, load
from bench.pruning.adversary import pgd
from bench.pruning.prune import prune
from bench.pruning.recipe import RECIPES, Context, Needs, Structure, Training
from bench.pruning.regime import REGIMES
from bench.tensors import Images, Labels
from bench.threats import Norm, ThreatModel, exact

POINTS, STEPS = 256, (3, 20)
RATES = (2, 4, 8, 16, 32)
COLUMNS = {
    ("clean", "one-shot"): "clean",
    ("clean", "bn"): "clean, after bn",
    ("pgd", "one-shot"): "PGD",
    ("pgd", "bn"): "PGD, after bn",
}
COLOURS = ["#111111", "#4c78a8", "#f58518", "#e45756", "#72b7b2", "#bab0ac", "#79706e", "#54a24b", "#1b7837", "#eeca3b",
           "#b279a2", "#9d755d"]  # fmt: skip
"""By recipe in the order of their names; what draws at random is grey."""
SHORT = Training(epochs=10, steps=3)
"""Of recipes that train, here; a protocol gives them more."""
REAL = {
    "cifar10_cnn_a_adv": ("cnn-a", "125.3/255,123/255,113.9/255", "63/255,62.1/255,66.7/255"),
    "cifar10_resnet2b_adv": ("resnet2b", "0.4914,0.4822,0.4465", "0.2471,0.2435,0.2616"),
    "cifar10_resnet20_standard": ("resnet20", "0.485,0.456,0.406", "0.229,0.224,0.225"),
}
"""Networks of the material: architecture and normalisation, as the notes beside the weights give them."""
EMBEDDED = ("digits-cnn-linf", "digits-resnet-linf", "digits-resnet-natural")
RECIPE_NAMES = tuple(
    sorted(
        (name for name in RECIPES if RECIPES[name].structure is Structure.UNSTRUCTURED),
        key=lambda name: RECIPES[name].needs is Needs.TRAINING,  # those that train come last, for they take longest
    )
)


def reference(name: str, material: Path) -> tuple[ModelRef, str, str]:
    """Return a network's reference, its data set and the radius of the attack."""
    if name in EMBEDDED:
        return ModelRef.parse(f"embedded:{name}"), "digits", "1/10"
    architecture, mean, std = REAL[name]
    numbers = [reading.numbers(text) for text in (mean, std)]
    path = str(material / "weights" / f"{name}.safetensors")
    return ModelRef.parse(path, architecture=architecture, mean=numbers[0], std=numbers[1]), "cifar10", "2/255"


def accuracies(network: nn.Module, images: Images, labels: Labels, threat: ThreatModel) -> tuple[int, int]:
    """Return how many images are right, and how many still are after PGD: first few steps, then many on what stands."""
    standing = _right(network, images, labels)
    clean = int(standing.sum())
    for steps in STEPS:
        images, labels = images[standing], labels[standing]
        if len(images):
            moved = pgd(network, images, labels, threat, steps=steps, seed=0, purpose="figure")
            standing = _right(network, moved, labels)
    return clean, int(standing.sum())


def _right(network: nn.Module, images: Images, labels: Labels) -> Tensor:
    with torch.no_grad():
        return network(images).argmax(dim=1) == labels


def measure(name: str, material: Path, recipes: Iterable[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield recipe by recipe one row per compression and regime."""
    ref, dataset, radius = reference(name, material)
    network, threat = load(ref).classifier, ThreatModel(Norm.LINF, exact(radius))
    test, train = DATASETS[dataset].load("test", range(POINTS)), DATASETS[dataset].load("train", range(256))
    images, labels = test.images(), test.label_tensor()
    given = Context(images[:2], calibration=(train.images(), train.label_tensor()), threat=threat)
    normed = any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    clean, robust = accuracies(network, images, labels, threat)
    for recipe in recipes:
        regimes = ("one-shot", "bn") if normed else ("one-shot",)
        shown = replace(given, training=SHORT) if RECIPES[recipe].needs is Needs.TRAINING else given
        row = {"network": name, "radius": radius, "recipe": recipe}
        rows = [row | {"regime": regime, "compression": 1, "clean": clean, "pgd": robust} for regime in regimes]
        for rate in RATES:
            pruned = prune(network, recipe, 1 - Fraction(1, rate), shown)
            for regime in regimes:
                followed = copy.deepcopy(pruned.network)
                REGIMES[regime].follow(followed, pruned.masks, given)
                found = accuracies(followed, images, labels, threat)
                rows.append(row | {"regime": regime, "compression": rate, "clean": found[0], "pgd": found[1]})
        sys.stderr.write(f"{name} {recipe}\n")
        yield rows


def _panel(rows: list[dict[str, Any]], name: str) -> str:
    """Return a network's name in the figure, with the reason where it has no panel for ``bn``."""
    normed = any(row["regime"] == "bn" for row in rows if row["network"] == name)
    return name.removeprefix("cifar10_") + ("" if normed else " (no batch norm)")


def draw(rows: list[dict[str, Any]]) -> str:
    """Return the figure as SVG: a row per network, columns clean and PGD without and with bn, colour by recipe."""
    import altair as alt
    import pandas as pd
    import vl_convert

    table = pd.DataFrame(rows).melt(
        id_vars=["network", "radius", "recipe", "regime", "compression"],
        value_vars=["clean", "pgd"],
        var_name="accuracy",
        value_name="count",
    )
    table["percent"] = 100 * table["count"] / POINTS
    table["panel"] = table["network"].map(lambda name: _panel(rows, name))
    table["accuracy"] = [
        COLUMNS[accuracy, regime] for accuracy, regime in zip(table["accuracy"], table["regime"], strict=True)
    ]
    cells = set(zip(table["panel"], table["accuracy"], strict=True))
    empty = [cell for cell in itertools.product(sorted(set(table["panel"])), COLUMNS.values()) if cell not in cells]
    # a row without a figure for each, or the panels behind would move to its place
    lines = [{"panel": panel, "accuracy": column, "recipe": "hydra", "compression": 1} for panel, column in empty]
    table = pd.concat([table, pd.DataFrame(lines)])
    names = sorted(RECIPE_NAMES)
    chart = (
        alt.Chart(table)
        .mark_line(point=alt.OverlayMarkDef(size=12))
        .encode(
            x=alt.X("compression:Q", scale=alt.Scale(type="log", base=2), axis=alt.Axis(values=[1, *RATES])),
            y=alt.Y("percent:Q", scale=alt.Scale(domain=[0, 100]), title="accuracy, %"),
            color=alt.Color("recipe:N", scale=alt.Scale(domain=names, range=COLOURS[: len(names)])),
        )
        .properties(width=210, height=140)
        .facet(
            row=alt.Row("panel:N", title=None, sort=[_panel(rows, name) for name in (*REAL, *EMBEDDED)]),
            column=alt.Column("accuracy:N", title=None, sort=list(COLUMNS.values())),
        )
        .properties(
            title=f"First {POINTS} test images; PGD at Linf 2/255 (CIFAR-10) and 1/10 (digits); "
            "hydra trained for 10 epochs on 256 images"
        )
    )
    svg: str = vl_convert.vegalite_to_svg(chart.to_json())
    return svg


def main(arguments: list[str]) -> None:
    """Measure what is named and not there yet, and draw everything."""
    redraw = "--draw" in arguments
    material, out, *names = [argument for argument in arguments if argument != "--draw"]
    os.environ["BENCH_DATA_DIR"] = material
    file = Path(out).with_suffix(".json")
    rows = json.loads(file.read_text("utf-8")) if file.exists() else []
    for name in () if redraw else names or (*REAL, *EMBEDDED):
        there = {row["recipe"] for row in rows if row["network"] == name}
        for found in measure(name, Path(material), [recipe for recipe in RECIPE_NAMES if recipe not in there]):
            rows += found
            file.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    Path(out).with_suffix(".svg").write_text(draw(rows), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
