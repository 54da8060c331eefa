"""``bench demo``: the main job on an embedded network, in under a minute."""

import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click

from bench.atomic import write_atomic
from bench.cli import evaluate, output
from bench.errors import UsageError
from bench.lifeline import end_with_parent

MODEL = "embedded:digits-mlp-linf"
POINTS = 50
SPARSITY = "0.9"
SUBMISSIONS = Path("submissions")
_MARK = ".demo"


@click.command("demo")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs/demo"), show_default=True, help="Where to write."
)
def command(*, out: Path) -> None:
    """Evaluate an embedded network dense and pruned under all three norms, then build the site.

    The evaluation takes the first fifty points, so it is no standard run; everything else is the protocol.
    """
    from bench.submission.files import RESULT_FILE, read_result

    _clear(out)
    results = []
    # the board holds the committed submissions, so a process of its own builds it while the attacks run
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), end_with_parent) as beside:
        board = beside.submit(_board, SUBMISSIONS, out / "site") if SUBMISSIONS.is_dir() else None
        for recipe, sparsity in (("dense", None), ("magnitude-global", SPARSITY)):
            plan = evaluate.settle(
                model=MODEL, protocol_name="digits-v1", recipe=recipe, sparsity=sparsity, limit=POINTS, folder=out
            )
            output.say(f"{plan.name}: {POINTS} points …")
            folder = evaluate.carry_out(plan)
            results.append((plan.name, read_result(folder / RESULT_FILE)))
        evaluate.show_results(results)
        if board:
            board.result()
            page = (out / "site" / "index.html").resolve()
            output.say(f"The board of the committed submissions is at {page.as_uri()}")
        else:
            output.say("There is no folder submissions/ here, so no board was built.")


def _clear(out: Path) -> None:
    """Remove what an earlier demo left, and mark the place; a folder of anything else is not touched."""
    mark = out / _MARK
    if out.exists() and not mark.is_file() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{str(out)!r} holds something else than an earlier demo; name an empty folder with --out.")
    shutil.rmtree(out, ignore_errors=True)
    write_atomic(mark, b"Made by bench demo, which removes this folder when it runs again.\n")


def _board(submissions: Path, out: Path) -> None:
    """Build the site."""
    from bench.cli.main import cli
    from bench.site.build import build
    from bench.site.place import place

    place(build(submissions, commands=cli), out)
