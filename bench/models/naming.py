"""Which name of a checkpoint means which tensor of a network."""

import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bench.errors import UsageError

_WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Parts that ``torch.compile``, FSDP and activation checkpointing put into names; no layer is called so."""

COUNTER = "num_batches_tracked"
"""Batch norm counts its training batches in this buffer; evaluation never reads it and many files lack it."""

_FEW = 3
"""So many names or patterns are spelled one by one."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is done to the names of a checkpoint, in this order.

    Attributes:
        drop: patterns, as of a shell, of names to leave out.
        strip: prefix to cut from every name that is left.
        rename: pairs of dotted parts; the first is replaced by the second wherever it stands in a name.
    """

    drop: tuple[str, ...] = ()
    strip: str = ""
    rename: tuple[tuple[str, str], ...] = ()

    def dropped(self, names: Iterable[str]) -> set[str]:
        """Return the names that are left out; a pattern may speak of a name as it stands or without its prefixes.

        Raises:
            UsageError: if a pattern meets none.
        """
        spelled = {name: {name, bare := unwrapped(name), bare.removeprefix(self.strip)} for name in names}
        out = set()
        for pattern in self.drop:
            met = {name for name, ways in spelled.items() if any(fnmatchcase(way, pattern) for way in ways)}
            if not met:
                raise UsageError(
                    f"--drop {pattern!r} meets no name; there are {some([repr(name) for name in spelled])}."
                )
            out |= met
        return out

    def renamed(self, name: str) -> str:
        """Return a name without its prefix and with its parts replaced.

        Raises:
            UsageError: if it does not begin with the prefix.
        """
        if not name.startswith(self.strip):
            raise UsageError(
                f"--strip {self.strip!r} does not go with {name!r}; every name must begin with it, "
                f"or leave that one out with --drop {shlex.quote(name)}."
            )
        name = name.removeprefix(self.strip)
        for old, new in self.rename:
            name = _replaced(name, old, new)
        return name

    def __str__(self) -> str:
        """Spell the changes as flags of ``bench convert``."""
        flags = [f"--drop {shlex.quote(pattern)}" for pattern in self.drop]
        flags += [f"--strip {shlex.quote(self.strip)}"] if self.strip else []
        return " ".join(flags + [f"--rename {shlex.quote(f'{old}={new}')}" for old, new in self.rename])


def unwrapped(name: str) -> str:
    """Return a name without the parts that torch's wrappers put into it."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def prefixes(found: Collection[str], wanted: Collection[str]) -> list[str]:
    """Return the prefixes under which ``found`` holds the most of ``wanted``: several where it holds it twice."""
    counts: Counter[str] = Counter()
    for name in found:
        parts = name.split(".")
        for cut in range(len(parts)):
            if ".".join(parts[cut:]) in wanted:
                counts["".join(f"{part}." for part in parts[:cut])] += 1
    best = max(counts.values(), default=0)
    return sorted(prefix for prefix, count in counts.items() if count == best)


def suggest(found: Collection[str], wanted: Collection[str], optional: Collection[str] = ()) -> tuple[Changes, ...]:
    """Return the changes after which ``found`` are the names of ``wanted``, one for each time the network is there.

    Nothing is returned where cutting one prefix and dropping the rest do not do. ``optional`` are wanted names that a
    checkpoint may lack; batch norm's counters always may.
    """
    needed = {name for name in wanted if name not in optional and not name.endswith(COUNTER)}
    ways = []
    for prefix in prefixes(found, wanted):
        inside = {name.removeprefix(prefix) for name in found if name.startswith(prefix)}
        if needed <= inside:
            kept = {name for name in found if name.startswith(prefix) and name.removeprefix(prefix) in wanted}
            ways.append(Changes(patterns([name for name in found if name not in kept], kept), prefix))
    return tuple(ways)


def parts_renamed(found: Mapping[str, object], wanted: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Return which parts to rename so that names agree, if few replacements in the order of the tensors do.

    Both map names to shapes; nothing is returned unless every name then stands for one that is wanted, and the shapes
    in order are the same.
    """
    extra = [name for name in found if name not in wanted and not name.endswith(COUNTER)]
    missing = [name for name in wanted if name not in found and not name.endswith(COUNTER)]
    if not extra or [found[name] for name in extra] != [wanted[name] for name in missing]:
        return ()
    pairs = tuple(dict.fromkeys(_difference(*names) for names in zip(extra, missing, strict=True)))
    changes = Changes(rename=pairs)
    if (
        len(pairs) > _FEW
        or not all(old for old, _ in pairs)
        or any(changes.renamed(name) not in wanted for name in found)
    ):
        return ()
    return pairs


def _difference(old: str, new: str) -> tuple[str, str]:
    """Return the parts in which two names differ; the second is empty where the first only has more."""
    left, right = old.split("."), new.split(".")
    while left and right and left[-1] == right[-1]:
        left, right = left[:-1], right[:-1]
    while left and right and left[0] == right[0]:
        left, right = left[1:], right[1:]
    return ".".join(left), ".".join(right)


def _replaced(name: str, old: str, new: str) -> str:
    parts, wanted, out = name.split("."), old.split("."), []
    while parts:
        if parts[: len(wanted)] == wanted:
            out += [new] if new else []
            parts = parts[len(wanted) :]
        else:
            out.append(parts.pop(0))
    return ".".join(out)


def patterns(extra: Sequence[str], kept: Collection[str]) -> tuple[str, ...]:
    """Return few patterns that meet every name of ``extra`` and none of ``kept``."""
    found: dict[str, None] = {}
    for name in extra:
        parts = name.split(".")
        heads = [".".join(parts[:count]) + ".*" for count in range(1, len(parts))]
        free = [head for head in heads if not any(fnmatchcase(other, head) for other in kept)]
        alone = bool(free) and sum(fnmatchcase(other, free[0]) for other in extra) == 1
        found[free[0] if free and not alone else _escaped(name)] = None
    ends = dict.fromkeys("*." + name.rpartition(".")[2] for name in extra)
    if len(found) > _FEW >= len(ends) and not any(fnmatchcase(name, end) for name in kept for end in ends):
        return tuple(ends)
    return tuple(found)


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def some(items: Sequence[str], shown: int = _FEW, *, between: str = ", ") -> str:
    """Return the first of many items, and how many more there are."""
    more = f"{between}and {len(items) - shown} more" if len(items) > shown else ""
    return between.join(items[:shown]) + more
