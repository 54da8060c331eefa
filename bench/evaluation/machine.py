"""What a result was computed on, in the words of the system."""

import platform
import subprocess
from pathlib import Path

import torch

from bench.submission.schema import MachineRecord
from bench.text import faults

_CPUINFO = Path("/proc/cpuinfo")
_LONGEST = 120


def machine(on: torch.device) -> MachineRecord:
    """Return the processor, the accelerator if it computes, and the threads; never a path or a host name."""
    accelerator = torch.cuda.get_device_name(on) if on.type == "cuda" else None
    return MachineRecord(processor=_processor(), accelerator=accelerator, threads=torch.get_num_threads())


def _processor() -> str | None:
    """Return the model of the processor; None where the system does not tell one."""
    told = (
        _from_linux() if _CPUINFO.exists() else _from_mac() if platform.system() == "Darwin" else platform.processor()
    )
    words = " ".join(told.split())
    return words[:_LONGEST] if words and not any(faults(words)) else None


def _from_linux() -> str:
    try:
        lines = _CPUINFO.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    facts = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in facts if name.strip() == "model name"), "")


def _from_mac() -> str:
    try:
        done = subprocess.run(  # fixed words, of the system itself
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
