"""``bench audit``: the native engine against the reference, point by point."""

import tempfile
from pathlib import Path
from typing import Any

import click

from bench.cli import evaluate, output
from bench.threats import Norm

_NORMS = [Norm.LINF.value, Norm.L2.value]


@click.command("audit")
@click.option("--model", required=True, metavar="REF", help="SOURCE:NAME or a .safetensors file.")
@click.option(
    "--protocol", "protocol_name", default="digits-v1", show_default=True, metavar="NAME|FILE", help="The rules."
)
@click.option("--recipe", default="dense", show_default=True, help="How to prune.")
@click.option("--sparsity", metavar="SHARE", help="Share of prunable weights to remove.")
@click.option("--arch", metavar="NAME", help="Architecture of a .safetensors file.")
@click.option("--mean", metavar="R,G,B", help="Input normalisation of a .safetensors file.")
@click.option("--std", metavar="R,G,B", help="Input normalisation of a .safetensors file.")
@click.option("--threat", "norms", multiple=True, type=click.Choice(_NORMS), default=_NORMS, show_default=True,
              help="Norms to compare.")  # fmt: skip
@click.option("--limit", type=int, default=50, show_default=True, metavar="N", help="Compare the first N points.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, as_json: bool, **options: Any) -> int:
    """Run both engines on the same points; exit 5 if their verdicts differ on more than one point in two hundred."""
    from bench.submission.files import POINTS_FILE, RESULT_FILE, read_result
    from bench.submission.points import read_points

    with tempfile.TemporaryDirectory() as folder:
        runs = {}
        for engine in ("native", "reference"):
            plan = evaluate.settle(**options, engine=engine, out=Path(folder) / engine)
            done = evaluate.carry_out(plan)
            runs[engine] = (read_result(done / RESULT_FILE), read_points(done / POINTS_FILE))
    (ours, our_points), (theirs, their_points) = runs["native"], runs["reference"]
    threats, lines, agree = [], [], True
    for threat in ours.threats:
        reference = theirs.threat(threat.norm)
        if reference is None:
            continue
        same = our_points.robust(threat.norm) == their_points.robust(threat.norm)
        differ = [int(point) for point in our_points.id[~same]]
        agree &= 200 * len(differ) <= len(same)
        broken = {attack.name: [attack.broken, 0] for attack in threat.attacks}
        for attack in reference.attacks:
            broken[attack.name][1] = attack.broken
        threats.append({
            "norm": threat.norm.value, "robust": [threat.robust, reference.robust], "broken": broken, "differ": differ,
        })  # fmt: skip
        lines.append([f"{threat.norm} {threat.epsilon} robust", str(threat.robust), str(reference.robust)])
        lines += [[f"  broken by {name}", str(counts[0]), str(counts[1])] for name, counts in broken.items()]
        lines.append(["  points whose verdict differs", ", ".join(map(str, differ)) or "none", ""])
    if as_json:
        output.emit({"schema": "bench.audit/1", "points": len(our_points), "agree": agree, "threats": threats})
    else:
        output.show(f"{len(our_points)} points", ["", "native", "reference"], lines, numbers=[1, 2])
    seconds = f"{ours.cost.seconds:.1f} s native, {theirs.cost.seconds:.1f} s reference"
    output.say(f"Verdicts {'agree' if agree else 'DISAGREE'}; {seconds}.")
    return 0 if agree else 5
