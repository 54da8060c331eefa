"""The files of the benchmark field by field, as Markdown made of the records that read them."""

import inspect
import types
from collections.abc import Iterator, Mapping
from datetime import date
from enum import EnumType
from fractions import Fraction
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bench.protocol.load import Exact, Protocol, Setting
from bench.site.markdown import plain, slug
from bench.submission import fields
from bench.submission.challenge import Challenge
from bench.submission.literature import Literature
from bench.submission.schema import Result, Submission
from bench.submission.verification import Verification
from bench.submission.withdrawal import Withdrawal

FILES: Mapping[str, tuple[type[BaseModel], str]] = {
    "literature": (Literature, "a file of quoted figures"),
    "result": (Result, "result.json, what the machine measured"),
    "submission": (Submission, "submission.toml, what people say"),
    "challenge": (Challenge, "challenge-NAME.json, what a verifier found of a stranger's witnesses"),
    "withdrawal": (Withdrawal, "withdrawal.toml, who took an entry from the boards, and why"),
    "verification": (Verification, "verification.json, what whoever measured again found"),
}
"""Name of a schema to the record behind it, and what file that is."""
_KINDS = (
    (fields.Count, "count"),
    (fields.Positive, "count from 1"),
    (fields.Sha256, "sha256"),
    (fields.Slug, "name"),
    (fields.Exact, "exact"),
    (Exact, "exact"),
    (Setting, "setting"),
    (fields.Https, "address"),
    (fields.Line, "line"),
    (fields.Title, "line"),
    (fields.Sentence, "text"),
    (fields.Words, "text"),
)
"""Kinds of values that have a name of their own."""
_PLAIN: Mapping[object, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    date: "date",
    Fraction: "exact",
    Any: "anything",
    type(None): "null",
}
_FILES = """\
# The files of an entry

What each file of a folder of `submissions/` holds, field by field. `bench evaluate` writes `result.json` and the \
arrays; which command writes the others says [Submit](submit.md); people fill in `submission.toml` alone.

*Exact* is a whole number or a fraction in lowest terms, as text, such as `"8/255"`; a *count* is a whole number from \
0; a *name* is made of `a-z`, `0-9`, `.`, `_` and `-`; an *address* begins with `https://`. What has a default may be \
left out, nothing else may, and nothing may be added. The same as JSON Schema: [Data](../../../leaderboard/data.html).
"""
_ARRAYS = """\
## points.npz

One row per point, in the order of ids; `numpy.load` reads it.

| Array | Kind | Means |
|---|---|---|
| `id` | int64 | Of the point in its data set. |
| `label` | int64 | Its class. |
| `prediction` | int64 | The network's class for the clean image. |
| `distance_NORM` | float32 | Size of the nearest verified witness of any source; 0 where the clean image is \
misclassified, infinity where none is known. |
| `broken_NORM_ATTACK` | bool | Whether this attack of the norm's own cascade broke it. |

## witnesses.npz

The nearest witness of each point that fell, once for each norm. `challenge-NAME.npz` holds `id` and `image` alone.

| Array | Kind | Means |
|---|---|---|
| `id_NORM` | int64 | Of the point that the image breaks. |
| `image_NORM` | float32 | Images × channels × height × width, in \\[0, 1\\]. |
| `clean_NORM` | float32 | The same points as they are without an attack. |
"""
_PROTOCOL = """\
# A protocol's file

What a file of rules holds, table by table: `bench protocol show NAME` prints those of one that ships, \
`bench protocol new FILE` begins one of your own. The rules in force are on the page \
[Rules](../../../leaderboard/protocols.html).

*Exact* is a number or a fraction as text, such as `"8/255"`; a *setting* is a number, text or a list of integers. \
What has a default may be left out. A file of your own may say `extends = "NAME"` and nothing but what it changes.
"""


def files() -> str:
    """Return the page about the files of an entry."""
    parts, seen = [_FILES], set[type[BaseModel]]()
    for name in ("result", "submission", "verification", "challenge", "withdrawal"):
        model, says = FILES[name]
        file, _, what = says.partition(", ")
        parts += [f"## {file}\n", f"{plain(what[0].upper() + what[1:])}.\n", *_described(model, seen)]
        parts += [_ARRAYS] * (name == "result")
    return "\n".join(parts)


def protocol() -> str:
    """Return the page about the rules."""
    return "\n".join([_PROTOCOL, "## The file\n", *_described(Protocol, set())])


def _described(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[str]:
    """Yield the table of a record, then each record inside it that was not described before."""
    inside, hints = dict[type[BaseModel], None](), get_type_hints(model, include_extras=True)
    yield "| Field | Kind | Means |\n|---|---|---|"
    for name, field in model.model_fields.items():
        if not field.exclude:
            made_of = dict[type[BaseModel], None]()
            kind = _kind(hints[name], made_of)
            inside |= made_of
            # a record that stands in one place says there what it is
            says = field.description or " ".join(inspect.getdoc(other) or "" for other in made_of)
            yield f"| `{field.alias or name}` | {kind} | {f'{plain(says)} {_default(field)}'.strip()} |"
    yield ""
    for other in inside:
        if other not in seen:
            seen.add(other)
            yield f"### {other.__name__}\n"
            yield f"{plain(inspect.getdoc(other) or '')}\n"
            yield from _described(other, seen)


def _kind(hint: Any, inside: dict[type[BaseModel], None]) -> str:
    """Return a type in words, and note the records that it is made of."""
    named = next((words for kind, words in _KINDS if kind is hint), None) or _PLAIN.get(hint)
    if named is not None:
        return named
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _kind(args[0], inside)
    if origin is Literal:
        return " or ".join(f"`{getattr(value, 'value', value)}`" for value in args)
    if origin in {Union, types.UnionType}:
        return " or ".join(_kind(arg, inside) for arg in args)
    if origin is tuple:
        found = [_kind(arg, inside) for arg in args if arg is not ...]
        return f"list of {found[0]}" if args[-1] is ... else f"\\[{', '.join(found)}]"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"table from {_kind(args[0], inside)} to {_kind(args[1], inside)}"
    if isinstance(hint, EnumType):
        return " or ".join(f"`{member.value}`" for member in hint)  # type: ignore[var-annotated]
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        inside[hint] = None
        return f"[{hint.__name__}](#{slug(hint.__name__)})"
    raise TypeError(f"{hint!r} has no words of its own.")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value: object = field.get_default(call_default_factory=True)
    if value is None:
        return "Default: null."
    return f"Default: `{value}`." if value or isinstance(value, int) else "Default: empty."
