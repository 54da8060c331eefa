"""The options that name networks, their rules, how they are or came to be pruned, and how they are measured."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from bench.threats import Norm

_Command = TypeVar("_Command", bound=Callable[..., Any])

_CELL = (
    click.option("--model", required=True, metavar="REF",
                 help="embedded:NAME, timm:NAME, robustbench:NAME, published:NAME, entry:ID, a .safetensors file, or "
                      "your own code, python:MODULE:FACTORY[?weights=FILE]."),
    click.option("--protocol", "protocol_name", default="digits-v1", show_default=True, metavar="NAME|FILE",
                 help="The rules: see `bench list protocols`, or a .toml file of one's own."),
    click.option("--recipe", metavar="NAME", help="Prune here by one of `bench list recipes`; by default nothing is."),
    click.option("--sparsity", metavar="SHARE",
                 help="Share of prunable weights, 0.9 or 9/10: to remove with --recipe, claimed to be gone without."),
    click.option("--compression", metavar="RATE", help="The same as a rate: 10 keeps one weight of ten."),
    click.option("--regime", metavar="NAME",
                 help="What follows pruning [one-shot], or followed it; scratch: trained anew."),
)  # fmt: skip

_TOLD = (
    click.option("--keep", metavar="LAYERS", help="Layers that --recipe leaves whole, by name: conv1,fc or layer1."),
    click.option("--parent", metavar="REF|RUN",
                 help="The dense network that a pruned one came from, or the folder of its finished run."),
    click.option("--method", metavar="TEXT", help="How others pruned it, in their words: 'LAMP + TRADES'."),
    click.option("--structure", type=click.Choice(["unstructured", "2of4", "channel"]),
                 help="What a network that came pruned is claimed to be."),
    click.option("--arch", metavar="NAME",
                 help="Of a .safetensors file; see `bench list architectures`; timm:NAME; NAME?num_classes=100."),
    click.option("--mean", metavar="R,G,B", help="Input normalisation of a .safetensors file."),
    click.option("--std", metavar="R,G,B", help="Input normalisation of a .safetensors file."),
    click.option("--parent-arch", metavar="NAME", help="Of a parent's .safetensors file; by default the network's."),
    click.option("--parent-mean", metavar="R,G,B", help="Likewise."),
    click.option("--parent-std", metavar="R,G,B", help="Likewise."),
)  # fmt: skip

_MEASURED = (
    click.option("--preset", default="standard", show_default=True, help="Other budgets; see `bench protocol show`."),
    click.option("--threat", "norms", multiple=True, type=click.Choice([norm.value for norm in Norm]),
                 help="Run these norms only."),
    click.option("--limit", type=int, metavar="N", help="Evaluate the first N points only."),
    click.option("--points", metavar="A:B", help="Evaluate points A to B-1 by id."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1."),
    click.option("--batch-size", default="auto", show_default=True, help="Points per call of an attack."),
    click.option("--memory", type=float, metavar="GIB",
                 help="Gibibytes that a run may take on the device; batches become smaller."),
    click.option("--seed", type=click.IntRange(min=0), help="Instead of the protocol's."),
    click.option("--engine", type=click.Choice(["native", "reference"]), default="native", show_default=True,
                 help="Whose Linf and L2 attacks: ours, or pyautoattack's as the auditor."),
)  # fmt: skip


def pruned(command: _Command) -> _Command:
    """Give a command the options that name one network and what is told of it."""
    for option in reversed((*_CELL, *_TOLD)):
        command = option(command)
    return command


def told(command: _Command) -> _Command:
    """Give a command the options that tell of networks, and name none."""
    for option in reversed(_TOLD):
        command = option(command)
    return command


def measured(command: _Command) -> _Command:
    """Give a command the options that say how networks are measured."""
    for option in reversed(_MEASURED):
        command = option(command)
    return command
