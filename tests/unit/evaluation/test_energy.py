"""Energy is what the machine's own meters say, or nothing."""

import ctypes
import time
from types import SimpleNamespace

import pytest
import torch

from bench.evaluation import energy
from bench.evaluation.energy import Counter, Meters, accelerator, metered, packages
from bench.evaluation.machine import machine

CPU = torch.device("cpu")


@pytest.fixture
def powercap(tmp_path):
    """Return a tree as Linux shows it: two packages of 100 J a turn, one part of a package, and the whole platform."""
    for zone, name, shows in (
        ("intel-rapl:0", "package-0", 10_000_000),
        ("intel-rapl:1", "package-1", 99_000_000),
        ("intel-rapl:0:0", "dram", 5_000_000),
        ("intel-rapl:2", "psys", 7_000_000),
    ):
        folder = tmp_path / zone
        folder.mkdir()
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text("100000000\n")
        (folder / "energy_uj").write_text(f"{shows}\n")
    return tmp_path


def show(powercap, zone, joules):
    """Let a counter show so many joules, at once for whoever looks."""
    beside = powercap / "beside"
    beside.write_text(f"{round(joules * 1e6)}\n")
    beside.replace(powercap / zone / "energy_uj")


def test_packages_are_added_and_a_counter_that_runs_over_goes_on(powercap, monkeypatch):
    monkeypatch.setattr(energy, "_POWERCAP", powercap)
    with metered(CPU) as meters:
        show(powercap, "intel-rapl:0", 12.5)
        show(powercap, "intel-rapl:1", 4)
        show(powercap, "intel-rapl:2", 90)
        (record,) = meters.records()
    assert (record.meter, record.joules) == ("rapl", 2.5 + 5)
    show(powercap, "intel-rapl:0", 20)
    (record,) = meters.records()
    assert record.joules == 2.5 + 5 + 7.5


def test_a_meter_is_followed_while_nobody_asks(powercap, monkeypatch):
    monkeypatch.setattr(energy, "_POWERCAP", powercap)
    monkeypatch.setattr(energy, "_EVERY", 0.01)
    with metered(CPU) as meters:
        for joules in (60, 99, 30, 80):  # twice around, with a look in between
            before = meters.counters[0].joules
            show(powercap, "intel-rapl:0", joules)
            patience = time.monotonic() + 30
            while meters.counters[0].joules == before and time.monotonic() < patience:
                time.sleep(0.005)
    assert meters.records()[0].joules == 50 + 39 + 31 + 50


@pytest.mark.parametrize("spoil", ["gone", "words"])
def test_a_meter_that_fails_in_between_says_nothing_rather_than_too_little(powercap, spoil):
    meters = Meters(packages(powercap))
    meters.look()
    if spoil == "gone":
        (powercap / "intel-rapl:1" / "energy_uj").unlink()
    else:
        (powercap / "intel-rapl:1" / "energy_uj").write_text("?")
    meters.look()
    (powercap / "intel-rapl:1" / "energy_uj").write_text("99500000")
    assert meters.records() == ()


def test_where_no_meter_is_there_or_may_be_read_there_is_no_figure(powercap, tmp_path):
    assert packages(tmp_path / "nowhere") == []
    (powercap / "intel-rapl:0" / "energy_uj").unlink()
    assert packages(powercap) == []
    with metered(CPU) as meters:
        meters.counters = []
        assert meters.records() == ()


class Library:
    """NVIDIA's library, as far as it is asked."""

    def __init__(self, codes=(0, 0, 0), shows=(1000, 4500)):
        self.codes, self.shows, self.asked = codes, list(shows), []

    def nvmlInit_v2(self):  # noqa: N802 - as NVIDIA spells it
        return self.codes[0]

    def nvmlDeviceGetHandleByUUID(self, name, handle):  # noqa: N802 - as NVIDIA spells it
        self.asked.append(name)
        return self.codes[1]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle, spent):  # noqa: N802 - as NVIDIA spells it
        spent._obj.value = self.shows[0] if len(self.shows) == 1 else self.shows.pop(0)
        return self.codes[2]


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="1a2b"))
    return torch.device("cuda:0")


def test_an_accelerator_is_read_in_thousandths_of_a_joule(gpu, monkeypatch):
    library = Library(shows=(1000, 1000, 4500))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    meters = Meters(accelerator(gpu))
    meters.look()
    (record,) = meters.records()
    assert (record.meter, record.joules) == ("nvml", 3.5)
    assert library.asked == [b"GPU-1a2b"]


@pytest.mark.parametrize("codes", [(9, 0, 0), (0, 6, 0), (0, 0, 3)])
def test_a_device_that_does_not_tell_has_no_figure(gpu, monkeypatch, codes):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library(codes))
    assert accelerator(gpu) == []


def test_a_machine_without_the_library_has_no_figure(gpu, monkeypatch):
    def missing(_):
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert accelerator(gpu) == []


def test_a_counter_without_a_span_never_runs_over():
    shows = iter([5.0, 9.0])
    counter = Counter("nvml", lambda: next(shows))
    counter.look()
    counter.look()
    assert counter.joules == 4.0


def test_the_machine_is_named_as_the_system_names_it(tmp_path, monkeypatch):
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nmodel name\t: Some  Chip(R) 9000\nflags : x\n", "utf-8")
    monkeypatch.setattr("bench.evaluation.machine._CPUINFO", info)
    found = machine(CPU)
    assert (found.processor, found.accelerator) == ("Some Chip(R) 9000", None)
    assert found.threads == torch.get_num_threads()
    info.write_text("processor : 0\n", "utf-8")
    assert machine(CPU).processor is None
