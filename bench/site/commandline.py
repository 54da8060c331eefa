"""The command line, as Markdown made of the commands themselves: nothing of the terminal or the machine comes in."""

import inspect
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import click

from bench import errors
from bench.errors import BenchError
from bench.site.markdown import plain

_HEAD = """\
# Command line

Every command with its options, as `bench COMMAND --help` prints them. Results go to standard output, with `--json` as \
one JSON document; progress and words go to standard error. The last column names the variable of the environment that \
sets an option where the command does not; `NO_COLOR` and `CI` are respected.
"""


def commands(group: click.Group) -> str:
    """Return the page about a group's commands: what each is for, how it is called, its options, the exit codes."""
    context = click.Context(group, info_name=group.name if group.name != "cli" else "bench", **group.context_settings)
    return "\n".join([_HEAD, *_group(group, context, 2), *_codes()])


def _group(group: click.Group, context: click.Context, level: int) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, "a listed command exists"
        inside = click.Context(command, info_name=name, parent=context)
        yield f"{'#' * level} {inside.command_path}\n"
        yield from _help(command)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield from _called(command, inside)
        if isinstance(command, click.Group):
            yield from _group(command, inside, level + 1)


def _help(command: click.Command) -> Iterator[str]:
    """Yield the paragraphs of a command's help; those that click keeps line by line are code."""
    for paragraph in inspect.cleandoc(command.help or "").split("\f")[0].split("\n\n"):
        kept = paragraph.removeprefix("\b\n")
        yield f"{plain(paragraph)}\n" if kept == paragraph else f"```console\n{kept}\n```\n"


def _called(command: click.Command, context: click.Context) -> Iterator[str]:
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    arguments = [each for each in shown if isinstance(each, click.Argument)]
    options = [each for each in shown if isinstance(each, click.Option)]
    yield f"Usage: `{' '.join([context.command_path, *['[OPTIONS]'] * bool(options), *map(_argument, arguments)])}`\n"
    if options:
        yield "| Option | What it does | Variable |\n|---|---|---|"
        yield from (_option(each, context) for each in options)
        yield ""


def _argument(argument: click.Argument) -> str:
    """Return how an argument is written, in brackets where it may be left out."""
    name = argument.metavar or str(argument.name).upper()
    if argument.metavar is None and isinstance(argument.type, click.Choice):
        name = "|".join(map(str, argument.type.choices))
    if "[" in name:
        return name
    return (name if argument.required else f"[{name}]") + "..." * (argument.nargs == -1)


def _option(option: click.Option, context: click.Context) -> str:
    """Return the row of an option."""
    names = ", ".join([*option.opts, *option.secondary_opts])
    value = "" if option.is_flag else f" {option.metavar or _value(option.type)}"
    says = [plain(option.help)] if option.help else []
    says += ["Required."] * option.required + ["May be given several times."] * option.multiple
    says += [f"Default: `{_default(option.default)}`."] * bool(option.show_default)
    cell = f"{names}{value}".replace("|", "\\|")
    return f"| `{cell}` | {' '.join(says)} | `{context.auto_envvar_prefix}_{str(option.name).upper()}` |"


def _value(kind: "click.ParamType[Any]") -> str:
    if isinstance(kind, click.Choice):
        return "|".join(map(str, kind.choices))
    return re.sub(r" range$", "", kind.name).upper()


def _default(value: object) -> str:
    if isinstance(value, PurePath):
        return value.as_posix()
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _codes() -> Iterator[str]:
    """Yield what each exit code says, from the errors that carry them."""
    yield "## Exit codes\n\n| Code | Says |\n|---|---|\n| 0 | It went well. |"
    found = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, BenchError)]
    for code in sorted({kind.exit_code for kind in found}):
        says = " ".join(inspect.getdoc(kind) or "" for kind in found if kind.exit_code == code)
        yield f"| {code} | {plain(says)} |"
    yield "| 130 | It was interrupted; what was finished is kept, and the same command goes on. |\n"
