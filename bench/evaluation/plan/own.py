"""Protocols of one's own: a commented start, and what can be told of one before it is used."""

from importlib import resources

from bench.attacks.attack import ATTACKS
from bench.data.dataset import DATASETS, DataSource, EvalSet
from bench.data.format import FORMATS
from bench.errors import UsageError
from bench.evaluation.checks.runner import chosen as checks_of
from bench.evaluation.plan.plan import remarks_on, steps_of
from bench.evaluation.plan.prepare import elsewhere
from bench.evaluation.plan.source import settings_of, source_of
from bench.protocol.load import STANDARD, Protocol, names
from bench.protocol.points import Pinned
from bench.registry import unknown

_HEAD = """\
# Rules of one's own. A run under them is never a standard one: its result says so and cannot be submitted.
#   bench protocol check {name}.toml                     reads every point and prints the digest that pins them
#   bench evaluate --protocol {name}.toml --model …      measures by these rules
name = "{name}"
extends = "{base}" # every rule that is not said here is taken from there; `bench protocol show {base}` shows them

[data]
dataset = "{dataset}"
split = "test"
first = 0      # id of the first point: its place in the data set, from 0
points = 100
# digest = "…" # pins pixels and labels of exactly these points
"""
_RADII = """
# One table a norm changes the protocol's; what it does not say is as before. Radii are exact: "8/255", "1/2"; L0 counts
# pixels. The L0 attack `corners` asks 2 to the number of channels images per pixel; leave it out of large images.
# [[threats]]
# norm = "Linf"
# epsilon = "4/255"

# [attacks.square]
# queries = 1000
"""


def start(name: str, dataset: str, base: str) -> str:
    """Return the text of a protocol that extends ``base`` and says how data of one's own are read.

    Raises:
        UsageError: if nothing carries one of the names.
    """
    if base not in names():
        raise UsageError(unknown("protocol", base, names()))
    if dataset not in FORMATS and dataset not in DATASETS:
        raise UsageError(unknown("data set", dataset, [*DATASETS, *FORMATS]))
    text = _HEAD.format(name=name, base=base, dataset=dataset)
    if dataset in FORMATS:
        text += "\n[data.settings] # paths are relative to this file\n" + FORMATS[dataset].start
    photographs = (resources.files("bench.protocol.starts") / "photographs.toml").read_text("utf-8")
    return text + ("\n" + photographs if dataset == "folder" else _RADII)


def check(protocol: Protocol) -> list[tuple[str, str]]:
    """Settle every rule, presets included, read every point, and return what there is to say.

    Raises:
        ProtocolError: for whatever would stop an evaluation; with file, line and field.
        InputError: if an image or a list is missing or not what it should be.
    """
    source = source_of(protocol)
    checks_of(protocol)
    for preset in (STANDARD, *protocol.presets):
        rules = protocol.under(preset)
        for threat in rules.threats:
            steps_of(rules, threat, source.shape, ATTACKS.__getitem__)
    data = protocol.data
    points = source.load(data.split, data.ids)
    found = [
        ("images", f"{len(points)} of {'×'.join(map(str, source.shape))}, {len(source.classes)} classes"),
        ("classes met", str(len(set(points.labels.tolist())))),
        ("digest", _pinned(points, data, source)),
    ]
    if (out := protocol.held_out) is not None:
        others = source.load(out.split, out.ids)
        found.append((f"held out, {len(others)} of {out.split}", _pinned(others, out, source)))
    steps = [
        step for threat in protocol.threats for step in steps_of(protocol, threat, source.shape, ATTACKS.__getitem__)
    ]
    return found + [("mind", says) for says in remarks_on(steps, source.shape)]


def _pinned(points: EvalSet, pin: Pinned, source: DataSource) -> str:
    found = f'digest = "{points.digest}"'
    if pin.files:
        return f"{found} ({elsewhere(points, pin, source.official) or f'from {pin.pin}, which pins them'})"
    if pin.digest is None:
        return found
    return f"{found} ({'as pinned' if pin.digest == points.digest else f'but {pin.digest[:12]}… is pinned'})"


def pin(protocol: Protocol) -> str:
    """Return a table of every image with its class and the digest of its pixels.

    Raises:
        UsageError: if data of this kind cannot be pinned image by image.
    """
    name, able = protocol.data.dataset, {name: FORMATS[name].table for name in FORMATS}
    table = able.get(name)
    if table is None:
        formats = ", ".join(other for other in able if able[other])
        raise UsageError(f"--table pins the images of data in the format {formats}; {protocol.name} has {name}.")
    return table(settings_of(protocol))
