"""Say why the tensors of a file are not those of a network, and which flag mends it."""

from collections.abc import Collection, Mapping, Sequence

from torch import Tensor

from bench.errors import ArtefactError, BenchError
from bench.models.architecture import ARCHITECTURES
from bench.models.folding import fold
from bench.models.naming import COUNTER, Changes, parts_renamed, some, suggest, unwrapped

Shape = tuple[int, ...]


def explain(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, where: str, what: str
) -> ArtefactError | None:
    """Return the error for names that are not those of ``wanted``, or None where they are.

    ``where`` names the weights, quoted for a shell, and ``what`` the architecture.
    """
    if all(name in tensors or name.endswith(COUNTER) for name in wanted) and all(name in wanted for name in tensors):
        return None
    command = f"bench convert {where} NEW.safetensors"
    bare = {unwrapped(name): tensor for name, tensor in tensors.items()}
    try:
        whole, done = fold(bare)
    except BenchError as error:
        return misfit(where, what, _problems(bare, wanted), f"{str(error).rstrip('.')} (`{command}`)")
    done += ["torch's wrappers cut from names"] if list(bare) != list(tensors) else []
    found, shapes = shapes_of(whole), shapes_of(wanted)
    ways = suggest(found, shapes)
    if not ways and (pairs := parts_renamed(found, shapes)):
        ways = (Changes(rename=pairs),)
    if not ways:
        return misfit(where, what, _problems(whole, wanted), kin(found))
    if all(way.drop for way in ways) and (better := _kin_under(ways, found)):
        return misfit(where, what, _problems(whole, wanted), better)
    commands = " or ".join(f"`{f'{command} {way}'.rstrip()}`" for way in ways)
    drops = any(way.drop for way in ways)
    cure = f"{'where the network computes nothing with what has no place, ' if drops else ''}{commands} mends it"
    return misfit(where, what, _unlike(ways, found), cure + (f" ({'; '.join(done)})" if done else ""))


def _unlike(ways: Sequence[Changes], found: Collection[str]) -> list[str]:
    """Return what keeps names from being those that are wanted, for a prefix alone makes every one another."""
    if len(ways) > 1:
        return [f"it is there {len(ways)} times"]
    (way,) = ways
    said = [f"its names begin with {way.strip!r}"] if way.strip else []
    said += [f"{old!r} should be {new!r}" if new else f"{old!r} is too much" for old, new in way.rename]
    said += [f"{name!r} has no place" for name in sorted(way.dropped(found))]
    return said or ["its names are wrapped or its weights in pieces"]


def _problems(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    missing = [name for name in wanted if name not in tensors and not name.endswith(COUNTER)]
    extra = [name for name in tensors if name not in wanted]
    other = [name for name in tensors if name in wanted and tensors[name].shape != wanted[name].shape]
    return [
        *(f"{name!r} is missing" for name in sorted(missing)),
        *(f"{name!r} has no place" for name in sorted(extra)),
        *(misshapen(name, wanted[name], tensors[name]) for name in sorted(other)),
    ]


def misshapen(name: str, wanted: Tensor, found: Tensor) -> str:
    """Return the sentence for a tensor of another shape."""
    return f"{name!r} should have shape {tuple(wanted.shape)}, got {tuple(found.shape)}"


def misfit(where: str, what: str, problems: list[str], cure: str | None = None) -> ArtefactError:
    """Return the error for weights that are not those of an architecture."""
    return ArtefactError(
        f"{where} does not hold the weights of {what}: {some(problems, between='; ')}; "
        f"{cure or 'name the architecture that they belong to with --arch'}."
    )


def _kin_under(ways: Sequence[Changes], found: Mapping[str, Shape]) -> str | None:
    """Return the clause for a registered architecture of which nothing has to be dropped, if there is one."""
    for way in ways:
        inside = {name.removeprefix(way.strip): shape for name, shape in found.items() if name.startswith(way.strip)}
        if len(inside) == len(found) and (clause := kin(inside)):
            return clause
    return None


def kin(found: Mapping[str, Shape]) -> str | None:
    """Return the clause that names the registered architecture with these names and shapes, whatever its classes."""
    plain = {name: shape for name, shape in found.items() if not name.endswith(COUNTER)}
    for name in ARCHITECTURES:
        shapes = ARCHITECTURES[name].shapes()
        state = {key: shape for key, shape in shapes.items() if not key.endswith(COUNTER)}
        if state.keys() == plain.keys():
            other = [key for key in state if state[key] != plain[key]]
            if len(other) <= len(("weight", "bias")) and all(state[key][1:] == plain[key][1:] for key in other):
                return f"they are those of --arch {name}"
    return None


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    """Return the table of shapes of a state dict."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
