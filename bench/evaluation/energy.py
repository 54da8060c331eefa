"""What an evaluation draws from the wall, as far as the machine has meters that can be read; nothing is estimated."""

import ctypes
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from bench.submission.schema import EnergyRecord

_POWERCAP = Path("/sys/class/powercap")
_PACKAGE = re.compile(r"intel-rapl:\d+")
_EVERY = 60.0
"""Seconds between two looks: a counter of 262 kJ that runs over between them would take 4 kW."""

Read = Callable[[], float]
"""Returns joules since some moment; raises OSError where it cannot."""


@dataclass(slots=True)
class Counter:
    """One meter, followed from look to look.

    Attributes:
        read: returns what it shows.
        span: joules after which it begins again at zero; infinite where it does not.
        joules: since the first look; None once a look has failed, for what it missed cannot be known.
    """

    meter: Literal["rapl", "nvml"]
    read: Read
    span: float = float("inf")
    joules: float | None = 0.0
    _last: float | None = None

    def look(self) -> None:
        """Add what was drawn since the last look."""
        if self.joules is None:
            return
        try:
            shows = self.read()
        except OSError:
            self.joules = None
            return
        if self._last is not None:
            drawn = shows - self._last
            self.joules += drawn + self.span if drawn < 0 else drawn
        self._last = shows


@dataclass(slots=True)
class Meters:
    """All meters of a machine while an evaluation runs."""

    counters: Sequence[Counter]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> None:
        """Read every meter."""
        with self._lock:
            for counter in self.counters:
                counter.look()

    def records(self) -> tuple[EnergyRecord, ...]:
        """Return what was drawn until now, by kind of meter; nothing of a kind of which one meter could not be read."""
        self.look()
        found = []
        for meter in dict.fromkeys(counter.meter for counter in self.counters):
            drawn = [counter.joules for counter in self.counters if counter.meter == meter]
            known = [joules for joules in drawn if joules is not None]
            if len(known) == len(drawn):
                found.append(EnergyRecord(meter=meter, joules=round(sum(known), 1)))
        return tuple(found)


@contextmanager
def metered(device: torch.device) -> Iterator[Meters]:
    """Follow the meters of the processor, and of the accelerator where one computes, in a thread of its own."""
    meters = Meters([*packages(_POWERCAP), *(accelerator(device) if device.type == "cuda" else ())])
    meters.look()
    over = threading.Event()

    def follow() -> None:
        while not over.wait(_EVERY):
            meters.look()

    thread = threading.Thread(target=follow, name="meters", daemon=True)
    if meters.counters:
        thread.start()
    try:
        yield meters
    finally:
        over.set()


def packages(root: Path) -> list[Counter]:
    """Return the counters of the processor's packages that Linux offers under ``root``; none where one is barred.

    Their parts, such as cores and memory, are no packages: they would be counted twice, or not everywhere.
    """
    found = []
    try:
        for zone in sorted(path for path in root.iterdir() if _PACKAGE.fullmatch(path.name)):
            if (zone / "name").read_text().startswith("package"):
                span = int((zone / "max_energy_range_uj").read_text()) / 1e6
                counter = Counter("rapl", _reader(zone / "energy_uj"), span)
                counter.read()
                found.append(counter)
    except (OSError, ValueError):
        return []
    return found


def _reader(path: Path) -> Read:
    def read() -> float:
        try:
            return int(path.read_text()) / 1e6
        except ValueError as error:
            raise OSError(str(error)) from None

    return read


def accelerator(device: torch.device) -> list[Counter]:
    """Return the counter that NVIDIA's management library keeps of a device, in joules; none where there is none."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        handle, name = ctypes.c_void_p(), f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
        if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByUUID(name, ctypes.byref(handle)):
            return []
    except (OSError, AttributeError):
        return []

    def read() -> float:
        spent = ctypes.c_ulonglong()
        if code := library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(spent)):
            raise OSError(f"NVML answers {code}")
        return spent.value / 1e3

    try:
        read()
    except (OSError, AttributeError):
        return []
    return [Counter("nvml", read)]
