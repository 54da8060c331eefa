"""Whether the figures of a result add up and obey the protocol that they were measured under."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import prod, sqrt

from bench.protocol.load import Protocol, Setting, load, names
from bench.registry import unknown
from bench.submission.carried import plain
from bench.submission.claim import gaps
from bench.submission.files import RESULT_FILE, dump
from bench.submission.people import SOURCES
from bench.submission.schema import ModelRecord, PruningRecord, Result, ThreatRecord
from bench.threats import Scenario

_FASTEST = {"processor": 4e13, "accelerator": 1e15}
"""Multiplications with additions in a second that no machine of today reaches in single precision: two sockets of 128
cores that do 32 a tick at 4.5 GHz, and ten of the largest accelerators."""

_COLLAPSE = "collapse"
"""The check whose doubt names a network collapsed."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@?=&+-]*")
"""What a source may call a network in a record."""

_UNFLINCHING = frozenset({"apgd-ce", "apgd-t", "fab-t", "fmn"})
"""Attacks that take every one of their steps at a point that stands."""


def result_problems(result: Result, written: bytes) -> Iterator[str]:
    """Yield one sentence per figure of a result that contradicts another or its protocol."""
    if written != dump(result):
        yield f"{RESULT_FILE}: not as the benchmark writes it; it is never edited by hand."
    if not result.standard or result.deviations:
        reasons = "; ".join(result.deviations) or "no reason given"
        yield f"{RESULT_FILE}: not a standard run ({reasons}); measure again without deviations."
    if result.converted is not None:
        yield (
            f"{RESULT_FILE}: converted from {result.converted}, which is kept to be read; measure again under the "
            "rules of today."
        )
    yield from _network(result.model)
    yield from _pruning(result.pruning)
    yield from _made(result)
    yield from _cost(result)
    rules = load(result.protocol.name).attacks if result.protocol.name in names() else {}
    for threat in result.threats:
        yield from _threat(threat, result, rules)
    if result.clean.correct > result.data.points:
        yield f"{RESULT_FILE}: {result.clean.correct} of {result.data.points} points cannot be correct."
    yield from _curves(result)
    yield from _scenarios(result)
    if result.protocol.name not in names():
        yield f"{RESULT_FILE}: {unknown('protocol', result.protocol.name, names())}"
    else:
        yield from _rules(result, load(result.protocol.name))


def _network(model: ModelRecord) -> Iterator[str]:
    if (model.normalisation is None) == model.ref.endswith(".safetensors"):
        yield (
            f"{RESULT_FILE}: model.normalisation goes with a .safetensors file and with nothing else; got "
            f"{'null' if model.normalisation is None else 'figures'} for {model.ref!r}."
        )
    for name in sorted({name for name in (model.ref, model.parent) if name}):
        if not _reachable(name):
            yield (
                f"{RESULT_FILE}: {name!r} is no network that others can load: expected embedded:, published:, timm: or "
                "robustbench: and a name, or a plain name of a file that ends in .safetensors."
            )
    if model.file_sha256 is None and model.ref.endswith(".safetensors"):
        yield f"{RESULT_FILE}: model.file_sha256 is null, and the network is a file."


def _reachable(ref: str) -> bool:
    """Tell whether a reference, which pages print for others to paste, names a network and nothing that runs."""
    source, colon, name = ref.partition(":")
    if not colon:
        return ref.endswith(".safetensors") and plain(ref)
    return source in SOURCES and _NAME.fullmatch(name) is not None


def _cost(result: Result) -> Iterator[str]:
    where, pruning, timed = f"{RESULT_FILE}: cost", result.pruning, result.cost.latency
    if timed is None and result.converted is None:
        yield f"{where}.latency is null, which only a record that was converted says; measure again."
    beside = timed is not None and timed.parent is not None
    if beside == (pruning.macs == pruning.parent_macs):
        yield (
            f"{where}.latency.parent goes with removed channels and with nothing else; got {pruning.macs} MACs of "
            f"{pruning.parent_macs} and {'figures' if beside else 'no figures'} of the parent."
        )
    attacks = [attack for threat in result.threats for attack in threat.attacks]
    replayed = sum(scenario.forwards for scenario in result.scenarios.values())
    for kind, told, least in (
        ("forwards", result.cost.forwards, sum(attack.forwards for attack in attacks) + replayed),
        ("backwards", result.cost.backwards, sum(attack.backwards for attack in attacks)),
    ):
        if told < least:
            yield f"{where}.{kind} is {told}, less than the {least} of attacks and scenarios together."
    yield from _speed(result)
    if len({meter.meter for meter in result.cost.energy}) < len(result.cost.energy):
        yield f"{where}.energy names a meter twice."


def _speed(result: Result) -> Iterator[str]:
    """Hold the seconds against what the passes are made of; a pass back takes two of the others."""
    spent, kind = result.cost, "processor" if result.cost.machine.accelerator is None else "accelerator"
    least = (spent.forwards + 2 * spent.backwards) * result.pruning.nonzero_macs / _FASTEST[kind]
    if spent.seconds < least:
        yield (
            f"{RESULT_FILE}: cost.seconds is {spent.seconds:g}, yet {spent.forwards:,} forward and {spent.backwards:,} "
            f"backward passes of {result.pruning.nonzero_macs:,} MACs take any {kind} at least {least:.3g}."
        )


def _curves(result: Result) -> Iterator[str]:
    for norm, curve in result.curves.items():
        if len(curve.epsilon) != len(curve.robust):
            yield f"{RESULT_FILE}: curves.{norm} has {len(curve.epsilon)} radii and {len(curve.robust)} counts."
        if any(later > earlier for earlier, later in zip(curve.robust, curve.robust[1:], strict=False)):
            yield f"{RESULT_FILE}: curves.{norm} rises; more room for the adversary cannot leave more points standing."


def _scenarios(result: Result) -> Iterator[str]:
    for name, scenario in result.scenarios.items():
        if scenario.parent is not None and (
            name != Scenario.TRANSFER
            or scenario.parent.keys() != scenario.robust.keys()
            or max(scenario.parent.values(), default=0) > result.data.points
        ):
            yield (
                f"{RESULT_FILE}: scenarios.{name} counts points that its parent leaves standing, expected of transfer "
                f"alone, per norm, and at most {result.data.points}."
            )
        for norm, robust in scenario.robust.items():
            threat_record = result.threat(norm)
            worst = threat_record.best_known if threat_record else 0
            if not worst <= robust <= result.clean.correct:
                yield (
                    f"{RESULT_FILE}: scenarios.{name} leaves {robust} points under {norm}, expected between the best "
                    f"known, {worst}, and the correct ones, {result.clean.correct}."
                )


def _pruning(pruning: PruningRecord) -> Iterator[str]:
    where = f"{RESULT_FILE}: pruning"
    yield from _layers(pruning)
    if pruning.nonzero > pruning.parameters - pruning.zeros:
        yield (
            f"{where}.nonzero is {pruning.nonzero}, more than {pruning.parameters} parameters without "
            f"{pruning.zeros} zeros leave."
        )
    if pruning.connected > pruning.prunable - pruning.zeros:
        yield (
            f"{where}.connected is {pruning.connected}, more than {pruning.prunable} prunable weights without "
            f"{pruning.zeros} zeros leave."
        )
    if not pruning.nonzero_macs <= pruning.macs <= pruning.parent_macs:
        got = f"{pruning.nonzero_macs}, {pruning.macs}, {pruning.parent_macs}"
        yield f"{where}: expected nonzero_macs ≤ macs ≤ parent_macs, got {got}."
    if pruning.structure == "channel" and pruning.macs == pruning.parent_macs:
        yield f"{where}: channels are gone, yet {pruning.macs} MACs are left of {pruning.parent_macs}."
    yield from _target(pruning)


def _layers(pruning: PruningRecord) -> Iterator[str]:
    where = f"{RESULT_FILE}: pruning"
    weights = sum(layer.weights for layer in pruning.layers)
    zeros = sum(layer.zeros for layer in pruning.layers)
    for name, times in Counter(layer.name for layer in pruning.layers).items():
        if times > 1:
            yield f"{where}: {times} layers are called {name!r}."
    if weights != pruning.prunable:
        yield f"{where}.prunable is {pruning.prunable}, but the layers hold {weights} weights."
    if zeros != pruning.zeros:
        yield f"{where}.zeros is {pruning.zeros}, but the layers hold {zeros}."
    for layer in pruning.layers:
        if layer.zeros > layer.weights or prod(layer.shape) != layer.weights:
            yield f"{where}: {layer.name!r} of shape {layer.shape}: {layer.zeros} zeros in {layer.weights} weights."
    dead = tuple(layer.name for layer in pruning.layers if layer.weights and layer.zeros == layer.weights)
    if set(dead) != set(pruning.collapsed_layers):
        yield f"{where}.collapsed_layers is {list(pruning.collapsed_layers)}, but all weights are zero in {list(dead)}."


def _made(result: Result) -> Iterator[str]:
    where, pruning = f"{RESULT_FILE}: pruning", result.pruning
    if (pruning.recipe is None) == (pruning.method is None):
        got = "both" if pruning.method else "neither"
        yield f"{where}: a recipe of this benchmark or a method of others says how it was pruned, got {got}."
    if pruning.method is None:
        if pruning.claim is not None:
            yield f"{where}.claim goes with a method; what a recipe is asked for is its target."
        if pruning.regime is None:
            yield f"{where}.regime is null, though a recipe always has one."
        return
    if pruning.target is not None or pruning.version or pruning.scope != "none":
        yield (
            f"{where}: a method of others has no target, version or scope that could be computed again, got "
            f"{pruning.target}, {pruning.version} and {pruning.scope}."
        )
    if pruning.structure == "dense":
        yield f"{where}: pruned by {pruning.method!r}, but no weight of its parent is gone."
    if result.model.parent is None or result.model.parent_sha256 is None:
        yield f"{RESULT_FILE}: model.parent is null; a network pruned by a method is measured against its dense parent."
    if pruning.claim is not None:
        yield from (f"{where}.claim: {gap}" for gap in gaps(pruning.claim, pruning))


def _target(pruning: PruningRecord) -> Iterator[str]:
    where, target = f"{RESULT_FILE}: pruning", pruning.target
    if pruning.method is not None:
        return
    if (target is None) != (pruning.structure == "dense"):
        yield f"{where}: a dense model has no target and a pruned one has, got {pruning.structure} with {target}."
    if target is not None and not 0 < Fraction(target) < 1:
        yield f"{where}.target is {target}; a share of the weights lies strictly between 0 and 1."
    if target is not None and pruning.structure == "unstructured":
        asked, room = Fraction(target) * pruning.prunable, 1 if pruning.scope == "global" else len(pruning.layers)
        if abs(pruning.zeros - asked) > room:
            yield f"{where}: {pruning.zeros} zeros, a target of {target} asks for {float(asked):.1f} ± {room}."


def _threat(threat: ThreatRecord, result: Result, rules: Mapping[str, Mapping[str, Setting]]) -> Iterator[str]:
    where, correct = f"{RESULT_FILE}: {threat.norm} {threat.epsilon}", result.clean.correct
    broken = sum(attack.broken for attack in threat.attacks)
    if threat.robust + broken != correct:
        yield f"{where}: robust {threat.robust} + broken {broken} should equal {correct} correct points."
    if threat.best_known > threat.robust:
        yield f"{where}: best_known {threat.best_known} exceeds robust {threat.robust}; the cascade's witnesses count."
    standing = correct
    for attack in threat.attacks:
        if attack.broken > attack.attempted:
            yield f"{where}: {attack.name} broke {attack.broken} of {attack.attempted} points."
        least = standing if _from(rules.get(attack.name, {})) <= threat.radius else 0
        if not least <= attack.attempted <= correct:
            yield f"{where}: {attack.name} tried {attack.attempted} points, expected {least} to {correct}."
        stood, steps = attack.attempted - attack.broken, _steps(attack.name, rules)
        if attack.forwards < (passes := max(attack.attempted, stood * steps)):
            spent = f"{attack.name} spent {attack.forwards} forward passes on {attack.attempted} points"
            yield f"{where}: {spent}, {stood} of which stood through {steps} steps; {passes} is the least."
        standing -= attack.broken


def _from(settings: Mapping[str, Setting]) -> int:
    """Return the radius from which an attack on a grid takes part; one without a grid always does."""
    grid = settings.get("grid", ())
    return min(grid, default=0) if isinstance(grid, tuple) else 0


def _steps(attack: str, rules: Mapping[str, Mapping[str, Setting]]) -> int:
    """Return how many passes at least a point costs that stands to the end of an attack."""
    steps = rules.get(attack, {}).get("steps", 1) if attack in _UNFLINCHING else 1
    return steps if isinstance(steps, int) else 1


def _rules(result: Result, protocol: Protocol) -> Iterator[str]:
    where = f"{RESULT_FILE}: {protocol.name}"
    if result.protocol.digest != protocol.digest:
        yield (
            f"{RESULT_FILE}: measured under {result.protocol.name} with digest {result.protocol.digest}, the rules now "
            f"are {protocol.digest}; measure again."
        )
    data, rules = result.data, protocol.data
    if (data.name, data.split, data.points) != (rules.dataset, rules.split, rules.points):
        yield (
            f"{where} asks for {rules.points} points of {rules.dataset} {rules.split}, got {data.points} of "
            f"{data.name} {data.split}."
        )
    if not rules.pinned:
        yield f"{where} pins no points yet, so no run under it is a standard one; pin them when the rules are released."
    elif rules.digest not in {None, data.digest}:  # what files decode to the entries of a board tell each other
        yield f"{where} expects data of digest {rules.digest}, got {data.digest}."
    if result.seed != protocol.seed:
        yield f"{where} fixes seed {protocol.seed}, got {result.seed}."
    there = {threat.norm for threat in result.threats}
    wanted = [(threat.norm, str(threat.epsilon)) for threat in protocol.threats]
    measured = [(threat.norm, threat.epsilon) for threat in result.threats]
    if measured != [threat for threat in wanted if threat[0] in there]:
        yield f"{where} has the threats {_spell(wanted)}, each once at most and in this order; got {_spell(measured)}."
    for threat in protocol.threats:
        record = result.threat(threat.norm)
        order = protocol.cascade(threat.norm)
        ran = tuple(attack.name for attack in record.attacks) if record else order
        if ran != order:
            yield f"{where} attacks {threat.norm} with {', '.join(order)} in this order, got {', '.join(ran)}."
    yield from _named(result, protocol)
    yield from _alive(result, protocol)
    grids = {
        curve.norm: tuple(str(epsilon) for epsilon in curve.epsilons)
        for curve in protocol.curves
        if curve.norm in there
    }
    if {norm: curve.epsilon for norm, curve in result.curves.items()} != grids:
        read = "; ".join(f"{norm} at {', '.join(radii)}" for norm, radii in grids.items())
        yield f"{where} reads curves of the threats there, {read or 'none'}, got others."


def _named(result: Result, protocol: Protocol) -> Iterator[str]:
    """Hold scenarios and checks to those of the protocol; each scenario is told for every threat there."""
    where, norms = f"{RESULT_FILE}: {protocol.name}", [threat.norm for threat in result.threats]
    for name, scenario in sorted(result.scenarios.items()):
        if name not in protocol.scenarios:
            yield f"{where} measures the scenarios {', '.join(protocol.scenarios) or 'none'}, got {name!r}."
        if strange := sorted(set(scenario.robust) - set(norms)):
            yield f"{RESULT_FILE}: {', '.join(strange)} was not attacked, yet scenarios.{name} counts it."
    for name in protocol.scenarios:
        if name == Scenario.TRANSFER and result.model.parent_sha256 is None:
            continue
        told = result.scenarios[name].robust if name in result.scenarios else {}
        if left := [norm for norm in norms if norm not in told]:
            yield f"{where} measures {name} under every threat, {', '.join(left)} is left out; measure again."
    for check in sorted({flag.check for flag in result.flags} - set(protocol.checks)):
        yield f"{where} names no check {check!r}, yet a flag is from it."


def _alive(result: Result, protocol: Protocol) -> Iterator[str]:
    """Hold a network that is not named collapsed against its own flags, and against guessing, which counts tell."""
    bars = protocol.checks.get(_COLLAPSE)
    if bars is None or result.collapsed:
        return
    if any(flag.check == _COLLAPSE for flag in result.flags):
        yield f"{RESULT_FILE}: a flag names the network collapsed, yet collapsed is false."
    correct, points, chance = result.clean.correct, result.data.points, 1 / len(result.data.classes)
    if correct <= (bar := points * chance + bars["sigmas"] * sqrt(points * chance * (1 - chance))):
        yield (
            f"{RESULT_FILE}: {correct} of {points} points are correct, no more than guessing reaches ({bar:.1f}), yet "
            "collapsed is false."
        )


def _spell(threats: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{norm} {epsilon}" for norm, epsilon in threats) or "none"
