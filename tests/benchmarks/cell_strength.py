"""Ask what each attack of a cell breaks and costs, what is spent beside the headline, and what the preset misses.

    python tests/benchmarks/cell_strength.py --points 32 --write

Evaluates real networks, dense and pruned, under one norm at a time as `bench evaluate` does, but for the checks, whose
cost hardly depends on network and points: the cascade, the attack behind the curves, the black-box scenario. Then the
preset `fast`, from the start, on the same points. What was measured is kept in CELLS.json, one record a network and
norm, and a later run replaces those it makes again. Networks and images come from BENCH_DATA_DIR (../shared/data if it
is not set).
"""

import argparse
import json
import os
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # robustbench brings a package called tests, which hides ours
from support import peers  # noqa: E402

from bench.evaluation.conduct.run import attack  # noqa: E402
from bench.evaluation.environment import exact_arithmetic  # noqa: E402
from bench.evaluation.judge.pool import Pool  # noqa: E402
from bench.evaluation.plan.plan import Request, plan  # noqa: E402
from bench.evaluation.plan.prepare import batch_of, prepare  # noqa: E402
from bench.evaluation.search.cascade import Cascade  # noqa: E402
from bench.interface.network import handed_over  # noqa: E402
from bench.threats import Norm  # noqa: E402

OUT = Path(__file__).with_name("CELLS.md")
KEPT = OUT.with_suffix(".json")
MATERIAL = Path(os.environ.get("BENCH_DATA_DIR") or ROOT.parent / "shared" / "data")
PRESET = "fast"
MOST = 1000
"""Forward passes a correct point that may be spent beside a headline that costs less."""

Record = dict[str, Any]


def measure(spec: str, norm: Norm, points: int, protocol: str | None = None) -> Record:
    """Evaluate one network under one norm, then under the preset, and return the counts."""
    torch.set_num_threads(1)
    begun = time.monotonic()
    found = peers.peer(MATERIAL, spec, points, protocol)
    ref = handed_over(found.model, found.images[:2])
    rules = found.rules.model_copy(update={"checks": {}})
    request = Request(ref, rules, norms=(norm,), points=(0, points), parent_first=False)
    with exact_arithmetic():
        cell = prepare(plan(request))
        device = torch.device("cpu")
        batch = batch_of(cell, device)
        done = attack(cell, device, batch)
        threat = done.pool.threats[0]
        standing = done.pool.standing(norm, float(threat.epsilon))
        fast, spent = _under_preset(found, norm, batch)
    ledger = done.pool.broken[norm]
    quick = torch.zeros_like(standing)
    quick[found.target().ids] = fast
    record = {
        "protocol": rules.name,
        "network": spec,
        "threat": str(threat),
        "points": points,
        "correct": int(done.pool.correct.sum()),
        "robust": int(done.pool.withstanding(norm, float(threat.epsilon)).sum()),
        "attacks": {
            tally.attack: [
                tally.attempted,
                int(ledger[tally.attack].sum()) if tally.attack in ledger else 0,
                tally.forwards,
                tally.backwards,
            ]
            for tally in done.tallies[norm]
        },
        "black_box": [done.scenarios["black-box"].robust[norm], done.scenarios["black-box"].forwards],
        "fast": [int(quick.sum()), int((quick & ~standing).sum()), *spent],
    }
    print(f"{spec} under {threat}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return record


def _under_preset(found: peers.Peer, norm: Norm, batch: int) -> tuple[torch.Tensor, tuple[int, int]]:
    """Return which of the correct points stand after the preset's attacks, and what it spent."""
    target, rules = found.target(), found.rules.under(PRESET)
    threat = rules.threat(norm).model
    pool = Pool(target.images, torch.ones_like(target.labels, dtype=torch.bool), [threat])
    driver, forwards, backwards = Cascade(target, pool, rules.seed, batch), 0, 0
    for step in plan(Request(handed_over(found.model, found.images[:2]), rules, norms=(norm,))).steps:
        tally = driver.run(step.attack, threat, step.settings)
        forwards, backwards = forwards + tally.forwards, backwards + tally.backwards
    return pool.standing(norm, float(threat.epsilon)), (forwards, backwards)


def headline(record: Record) -> int:
    """Return the forward passes of the attacks behind the robust accuracy."""
    return sum(row[2] for name, row in record["attacks"].items() if name != "fmn")


def beside(record: Record) -> int:
    """Return the forward passes of the curves and of the black-box scenario."""
    curves = record["attacks"].get("fmn", [0, 0, 0, 0])[2]
    return int(curves + record["black_box"][1])


def holds(record: Record) -> bool:
    """Tell whether no more is spent beside the headline than on it, or than a bounded number of passes a point."""
    return beside(record) <= max(headline(record), MOST * record["correct"])


def kept() -> list[Record]:
    """Return the records of earlier runs."""
    return json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else []


def merged(old: Iterable[Record], new: Iterable[Record]) -> list[Record]:
    """Return records by protocol, norm and network, in the order of these; new ones replace old ones."""
    found = {(record["protocol"], record["threat"], record["network"]): record for record in (*old, *new)}
    norms, networks = [str(norm) for norm in Norm], list(peers.NETWORKS)
    return sorted(
        found.values(),
        key=lambda record: (
            record["protocol"],
            norms.index(record["threat"].partition(" ")[0]),
            networks.index(record["network"]),
        ),
    )


def gap(records: Sequence[Record]) -> dict[str, Any]:
    """Return how far the preset was from the rules, as a protocol states it."""
    worst = max(records, key=lambda record: record["fast"][1] / record["correct"])
    return {
        "networks": len(records),
        "points": sum(record["correct"] for record in records),
        "more": sum(record["fast"][1] for record in records),
        "largest": [worst["fast"][1], worst["correct"]],
        "network": worst["network"],
    }


def page(records: Sequence[Record]) -> str:
    """Return the tables as Markdown."""
    lines = [
        "# What a cell costs, attack by attack, and what the preset misses",
        "",
        f"`python tests/benchmarks/{Path(__file__).name} --write`",
        "",
        "Each network on its first points, under the rules of a protocol, one norm at a time; forward passes.",
        "*beside* is what the curves (`fmn`) and the black-box scenario spend. *preset* is `fast`, from the start:",
        "points that stand, those of them that the rules break, forward and backward passes.",
    ]
    for protocol, threat in dict.fromkeys((record["protocol"], record["threat"]) for record in records):
        some = [record for record in records if (record["protocol"], record["threat"]) == (protocol, threat)]
        lines += ["", f"## {protocol}, {threat}", "", *_table(some), "", *_attacks(some), "", *_summary(some)]
    version = torch.__version__.partition("+")[0]
    return "\n".join([*lines, "", f"torch {version}, {platform.machine()}, no accelerator, one thread a network.", ""])


def _table(records: Sequence[Record]) -> list[str]:
    lines = [
        "| network | correct | robust | headline | beside | black-box stands | preset: stand, more, passes |",
        "|---|---|---|---|---|---|---|",
    ]
    for record in records:
        stand, more, forwards, backwards = record["fast"]
        lines.append(
            f"| {record['network']} | {record['correct']} of {record['points']} "
            f"| {record['robust']} | {headline(record):,} | {beside(record):,} "
            f"| {record['black_box'][0]} | {stand}, {more}, {forwards:,}, {backwards:,} |"
        )
    return lines


def _attacks(records: Sequence[Record]) -> list[str]:
    """Sum over networks."""
    total: dict[str, list[int]] = defaultdict(lambda: [0] * 5)
    for record in records:
        for name, row in record["attacks"].items():
            total[name] = [old + new for old, new in zip(total[name], [*row, bool(row[1])], strict=True)]
    lines = [
        "| attack | points attempted | broken | on networks | forward passes | backward passes |",
        "|---|---|---|---|---|---|",
    ]
    return lines + [
        f"| {name} | {attempted:,} | {broken:,} | {networks} | {forwards:,} | {backwards:,} |"
        for name, (attempted, broken, forwards, backwards, networks) in total.items()
    ]


def _summary(records: Sequence[Record]) -> list[str]:
    over = [record["network"] for record in records if not holds(record)]
    told = gap(records)
    most, points = told["largest"]
    where = f"all but {', '.join(over)}" if over else "every network"
    share = f"{told['more'] / told['points']:.1%}"
    return [
        f"Beside the headline: at most as many passes as on it, or {MOST} a correct point, on {where}.",
        "",
        f"The preset: of {told['points']} points of {told['networks']} networks {told['more']} stand that the rules",
        f"break ({share}), at most {most} of {points} of one ({told['network']}).",
    ]


def main() -> None:
    """Read the command line, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", action="append", choices=peers.NETWORKS)
    parser.add_argument("--norm", action="append", type=Norm, choices=list(Norm))
    parser.add_argument("--protocol", help="other rules for the same data, such as digits-smoke-v1")
    parser.add_argument("--points", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"keep the records and write {OUT.name}")
    given = parser.parse_args()
    wanted = [(network, norm) for network in given.network or peers.NETWORKS for norm in given.norm or Norm]
    with ProcessPoolExecutor(given.workers) as workers:
        jobs = [workers.submit(measure, network, norm, given.points, given.protocol) for network, norm in wanted]
        records = merged(kept() if given.write else (), [job.result() for job in jobs])
    if given.write:
        text = ",\n".join(json.dumps(record) for record in records)
        KEPT.write_text(f"[\n{text}\n]\n", encoding="utf-8")
        OUT.write_text(page(records), encoding="utf-8")
    print(page(records))


if __name__ == "__main__":
    main()
