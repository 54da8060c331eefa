"""The table of bench/site/docs/checks.md, made from the registry and the defects.

Write it again with ``python -c "from tests.support.check_table import write; write()"`` under pytest's import path, or
copy what the failing test prints.
"""

from pathlib import Path

from bench.evaluation.checks.check import CHECKS, Stage
from tests.support.defects import DEFECTS
from tests.support.suspects import HARNESS

PAGE = Path(__file__).resolve().parent.parent.parent / "bench" / "site" / "docs" / "checks.md"

_HEAD = """\
# Reliability checks

Every result is doubted before it is believed. A check looks at one result for one reason and leaves a flag with its
figure, its threshold and what follows: *inform*, *warn*, or *withhold* the number. Thresholds are rules and live in the
protocol's `[checks.NAME]` tables. `bench list checks` prints this list, `bench check --model REF` runs the checks that
need no attack. A doubt at admission that withholds refuses the model: it is never attacked. *Collapsed* is a status;
such a network is shown and never ranked. On fewer than 50 points a check tells what it saw and concludes nothing.

The *anchor* doubts the machine instead of the model: before every evaluation, and in `bench check`, an embedded network
meets every attack of the protocol, cut short, and as many points must stand as the protocol's `[checks.anchor]` says.

*Held-out* doubts that a network would do as well on other points: it compares clean accuracy, and accuracy under a
short attack of its own, on the points of the protocol and on those that its `[held_out]` names. Honest networks do at
most 8 in a hundred better inside, by chance; the figure is the least difference that chance leaves. Where there
are more than are looked at, a hash of the weights chooses, so nobody knows in training which points it will be. Points
that are not on the machine leave a warning, never silence: the run stays standard, but whoever runs an entry again has
to have them.

This page is held by `tests/unit/evaluation/checks/test_table.py` and cannot drift.

## What no check sees

- A network trained on the points of the protocol *and* on those held out: all of them are public. Where every test
  image is a point of the protocol, training images stand in, and a network trained on both is not seen.
- A network that gained little by knowing points. With 1,000 points on either side, a gain of 6 points at half of them
  correct, or of 2.4 at 95 %, is warned of every second time; on the digits, with 500 and 200, one of 7.5 at 85 %.
- A dense parent made to be pruned: wide, with channels that hardly matter. Its child is as sparse as it measures, and
  as robust; what the pruning achieved is not what the child shows, so both stand side by side.
- Code of one's own that behaves while it is looked at. Checks look from several sides, in another process and again at
  the end, and no code of a stranger runs for a submission: its networks come from weights and known architectures.
- Curves that are loose inside the radius. There FMN alone looks for smaller changes, with steps of Euclidean length as
  its paper has them; where sensitivity is spread over all pixels it comes near slowly. On the first 60 images of MNIST
  its 200 steps leave `mnist-kw-0.1` a median distance of 0.45, foolbox's as well, where steps by sign find 0.17. The
  figure that ranks is of the whole cascade and not concerned; pages name the entries (Findings, "How near to the truth
  are the curves").
- A result that was written by hand and adds up. Such an entry is self-reported and has no rank; a rank takes a listed
  verifier, who measures again.

## The checks
"""

_FIXTURES = """
## What must be caught

Each row is a fixture of `tests/support/defects.py` that the checks named must flag, in a test. Each check is named at
least once, so none never fires. None of them warns of an embedded network as it ships, dense or pruned by half.
*No number* means that the run stops with an error instead of a result.
"""


def render() -> str:
    """Return the page."""
    lines = [_HEAD, "| Check | When | Catches | Asked for by |", "|---|---|---|---|"]
    for stage in Stage:
        found = [CHECKS[name] for name in CHECKS if CHECKS[name].stage is stage]
        lines += [f"| `{check.name}` | {check.stage} | {check.catches} | {check.source} |" for check in found]
    lines += [_FIXTURES, "| Fixture | What is wrong | Caught by |", "|---|---|---|"]
    for name, defect in DEFECTS.items():
        by = ", ".join("*no number*" if check == HARNESS else f"`{check}`" for check in sorted(defect.must))
        lines.append(f"| {name} | {defect.says} | {by} |")
    return "\n".join(lines) + "\n"


def write() -> None:
    """Write the page."""
    PAGE.write_text(render(), "utf-8")
