"""What an evaluation and a network cost, as readers see it."""

from bench.submission.schema import CostRecord, MachineRecord, ThreatRecord


def machine(found: MachineRecord) -> str:
    """Name what computed: the accelerator, or the processor with its threads."""
    if found.accelerator is not None:
        return found.accelerator
    name = found.processor or "a processor that was not recorded"
    return name if found.threads is None else f"{name}, {found.threads} thread{'s' if found.threads > 1 else ''}"


def passes(threat: ThreatRecord) -> int:
    """Return the images that a cascade passed through the network, forward and backward together."""
    return sum(attack.forwards + attack.backwards for attack in threat.attacks)


def joules(cost: CostRecord) -> float | None:
    """Return what all meters counted together; None where none could be read."""
    return sum(meter.joules for meter in cost.energy) if cost.energy else None
