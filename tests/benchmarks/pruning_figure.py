"""Draw clean and PGD accuracy over compression, for real CIFAR-10 networks and the embedded ones, with and without bn.

``python tests/benchmarks/pruning_figure.py MATERIAL OUT [NAME ...]`` measures every unstructured recipe that needs no
training and writes ``OUT.json`` and ``OUT.svg``; ``--draw`` redraws from the JSON alone. PGD has 20 steps of a quarter
of the radius, on the first 256 test images: a sketch of the field, and no verdict of the benchmark.
"""

import json
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.cli import reading
from bench.data.dataset import DATASETS
from bench.models.source import ModelRef, load
from bench.pruning.adversary import pgd
from bench.pruning.prune import prune
from bench.pruning.recipe import RECIPES, Context, Needs, Structure
from bench.tensors import Images, Labels
from bench.threats import Norm, ThreatModel, exact

POINTS, STEPS = 256, 20
RATES = (2, 4, 8, 16, 32)
REAL = {
    "cifar10_cnn_a_adv": ("cnn-a", "125.3/255,123/255,113.9/255", "63/255,62.1/255,66.7/255"),
    "cifar10_resnet2b_adv": ("resnet2b", "0.4914,0.4822,0.4465", "0.2471,0.2435,0.2616"),
    "cifar10_resnet20_standard": ("resnet20", "0.485,0.456,0.406", "0.229,0.224,0.225"),
}
"""Networks of the material: architecture and normalisation, as the notes beside the weights give them."""
EMBEDDED = ("digits-cnn-linf", "digits-resnet-linf", "digits-resnet-natural")
RECIPE_NAMES = tuple(
    name
    for name in RECIPES
    if RECIPES[name].structure is Structure.UNSTRUCTURED and RECIPES[name].needs is not Needs.TRAINING
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
    """Return how many images are right, and how many still are after PGD."""
    with torch.no_grad():
        clean = int((network(images).argmax(dim=1) == labels).sum())
    moved = pgd(network, images, labels, threat, steps=STEPS, seed=0, purpose="figure")
    with torch.no_grad():
        return clean, int((network(moved).argmax(dim=1) == labels).sum())


def measure(name: str, material: Path) -> list[dict[str, Any]]:
    """Return one row per recipe, compression and regime."""
    ref, dataset, radius = reference(name, material)
    network, threat = load(ref).classifier, ThreatModel(Norm.LINF, exact(radius))
    test, train = DATASETS[dataset].load("test", range(POINTS)), DATASETS[dataset].load("train", range(256))
    images, labels = test.images(), test.label_tensor()
    given = Context(images[:2], calibration=(train.images(), train.label_tensor()), threat=threat)
    normed = any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    rows = []
    clean, robust = accuracies(network, images, labels, threat)
    for recipe in RECIPE_NAMES:
        for regime in ("one-shot", "bn") if normed else ("one-shot",):
            row = {"network": name, "radius": radius, "recipe": recipe, "regime": regime}
            rows.append(row | {"compression": 1, "clean": clean, "pgd": robust})
            for rate in RATES:
                pruned = prune(network, recipe, 1 - Fraction(1, rate), given, regime).network
                found = accuracies(pruned, images, labels, threat)
                rows.append(row | {"compression": rate, "clean": found[0], "pgd": found[1]})
        sys.stderr.write(f"{name} {recipe}\n")
    return rows


def draw(rows: list[dict[str, Any]]) -> str:
    """Return the figure as SVG: a row per network, columns clean and PGD, colour by recipe, dashes by regime."""
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
    table["panel"] = table["network"].str.removeprefix("cifar10_")
    table["accuracy"] = table["accuracy"].map({"clean": "clean", "pgd": "PGD-20"})
    chart = (
        alt.Chart(table)
        .mark_line(point=alt.OverlayMarkDef(size=14))
        .encode(
            x=alt.X("compression:Q", scale=alt.Scale(type="log", base=2), axis=alt.Axis(values=[1, *RATES])),
            y=alt.Y("percent:Q", scale=alt.Scale(domain=[0, 100]), title="accuracy, %"),
            color=alt.Color(
                "recipe:N", scale=alt.Scale(scheme="tableau10" if len(RECIPE_NAMES) < 11 else "category20")
            ),
            strokeDash=alt.StrokeDash(
                "regime:N", sort=["one-shot", "bn"], legend=alt.Legend(symbolType="stroke", symbolStrokeColor="black")
            ),
            detail="regime:N",
        )
        .properties(width=300, height=150)
        .facet(row=alt.Row("panel:N", title=None), column=alt.Column("accuracy:N", title=None, sort="descending"))
        .properties(title=f"First {POINTS} test images; PGD at Linf 1/10 (digits) and 2/255 (CIFAR-10)")
    )
    svg: str = vl_convert.vegalite_to_svg(chart.to_json())
    return svg


def main(arguments: list[str]) -> None:
    """Measure what is named, keep what was measured before, and draw everything."""
    redraw = "--draw" in arguments
    material, out, *names = [argument for argument in arguments if argument != "--draw"]
    os.environ["BENCH_DATA_DIR"] = material
    file = Path(out).with_suffix(".json")
    rows = json.loads(file.read_text("utf-8")) if file.exists() else []
    for name in () if redraw else names or (*REAL, *EMBEDDED):
        rows = [row for row in rows if row["network"] != name] + measure(name, Path(material))
        file.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    Path(out).with_suffix(".svg").write_text(draw(rows), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
