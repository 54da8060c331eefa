"""The ``bench`` command: finds the command named, runs it, turns errors into one sentence and an exit code."""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from bench.cli.streams import install
from bench.errors import BenchError
from bench.text import printable
from bench.version import __version__

COMMANDS: Mapping[str, tuple[str, str]] = {
    "evaluate": ("bench.cli.evaluate", "Prune a model, attack it under a protocol, write the result."),
    "sweep": ("bench.cli.sweep", "Evaluate a grid of models, recipes and sparsities."),
    "check": ("bench.cli.check", "Run the reliability checks on a model, without attacking it."),
    "demo": ("bench.cli.demo", "Evaluate an embedded model dense and pruned, then build the site."),
    "list": ("bench.cli.list", "List models, recipes, attacks, data sets, protocols."),
    "data": ("bench.cli.data", "Fetch, place and check the files of data sets."),
    "models": ("bench.cli.models", "Fetch and place weights of other people's networks."),
    "protocol": ("bench.cli.protocol", "Show the rules, or start a file of one's own."),
    "inspect": ("bench.cli.inspect", "Show what is in a checkpoint, a result or a submission."),
    "compare": ("bench.cli.compare", "Compare two runs point by point."),
    "prune": ("bench.cli.prune", "Prune a model and write the checkpoint."),
    "convert": ("bench.cli.convert", "Convert an old PyTorch checkpoint to safetensors."),
    "train": ("bench.cli.train", "Train a network from nothing, or the embedded ones again."),
    "audit": ("bench.cli.audit", "Compare the native engine with the reference, point by point."),
    "submission": ("bench.cli.submission", "Make and check submissions."),
    "review": ("bench.cli.review", "Hold somebody else's entry against its weights; sign what was found."),
    "challenge": ("bench.cli.challenge", "Lower an entry by witnesses that nobody had found."),
    "verifier": ("bench.cli.verifier", "Make and list the keys that sign verifications."),
    "report": ("bench.cli.report", "Answer what all entries say together."),
    "figure": ("bench.cli.figure", "Draw a figure of the leaderboard for a paper."),
    "site": ("bench.cli.site", "Build, check, serve and export the leaderboard."),
    "doctor": ("bench.cli.doctor", "Check this installation."),
}
"""Name to the module that holds it as ``command``, and its line in the help; nothing is imported for ``--help``."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module behind a name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name near misses for a command that does not exist."""
        if args and args[0] not in COMMANDS:
            from bench.registry import unknown

            ctx.fail(unknown("command", args[0], list(COMMANDS)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the table without importing anything."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, says) for name, (_, says) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"auto_envvar_prefix": "BENCH", "help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bench")
def cli() -> None:
    """Measure the adversarial robustness of pruned image classifiers."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code that says what happened."""
    install()
    sys.exit(run(argv))


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    os.environ.setdefault("TIMM_FUSED_ATTN", "0")  # fused attention hides its multiply-accumulates from the counter
    try:
        code: Any = cli.main(args=None if argv is None else list(argv), prog_name="bench", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("bench: interrupted.", sys.stderr)
        return 130
    except BenchError as error:
        click.echo(f"bench: {printable(str(error), lines=True)}", sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in MEASURING:
            raise
        click.echo(
            f"bench: {error.name} is not installed; install what measures in a checkout of the project: {INSTALL}.",
            sys.stderr,
        )
        return 3
    return code if isinstance(code, int) else 0


INSTALL = "pip install '.[measure]'"
"""As long as no index carries the package, its own repository is where it comes from."""
MEASURING = frozenset({
    "torch", "torchvision", "timm", "robustbench", "pyautoattack", "safetensors", "sklearn", "jaxtyping",
    "huggingface_hub", "zstandard", "PIL",
})  # fmt: skip
"""What the extra ``measure`` installs; missing, it is the user's to install and no bug."""
