"""The witnesses that an entry's folder holds are few, are chosen by nobody, and are those of the run."""

import numpy as np
import pytest

from bench.errors import SubmissionError
from bench.submission.arrays import pack_arrays, read_arrays
from bench.submission.check import problems
from bench.submission.sample import MOST, VALUES, drawn, sampled
from bench.threats import Norm
from tests.support.builders import write

IDS = np.arange(1000)


@pytest.mark.parametrize(
    ("shape", "count"),
    [((1, 8, 8), MOST), ((1, 28, 28), 39), ((3, 32, 32), 10), ((3, 224, 224), 1), ((3, 1024, 1024), 1)],
)
def test_as_many_points_are_held_as_there_is_room_for(shape, count):
    held = sampled(IDS, shape)
    assert held.sum() == count
    assert count == 1 or count * np.prod(shape) <= VALUES
    assert held.dtype == bool


def test_the_points_hang_on_their_ids_alone():
    order = np.random.default_rng(0).permutation(IDS)
    assert set(order[sampled(order, (3, 32, 32))]) == set(IDS[sampled(IDS, (3, 32, 32))])
    assert set(IDS[sampled(IDS, (3, 32, 32))]) < set(IDS[sampled(IDS, (1, 8, 8))])
    assert sampled(IDS[:5], (1, 8, 8)).all()


@pytest.fixture
def run(tmp_path):
    """Return the witnesses of a run: of every other point under Linf, of some under L2, of none under L0."""
    source, arrays = np.random.default_rng(0), {}
    for norm, ids in zip(Norm, (IDS[::2], IDS[500:700], IDS[:0]), strict=True):
        images = source.random((len(ids), 3, 32, 32), dtype=np.float32)
        arrays |= {f"id_{norm}": ids, f"image_{norm}": images, f"clean_{norm}": images / 2}
    path = tmp_path / "witnesses.npz"
    path.write_bytes(pack_arrays(arrays))
    return path, arrays


def test_what_is_drawn_is_that_part_of_the_run(run, tmp_path):
    path, whole = run
    (tmp_path / "drawn.npz").write_bytes(drawn(path, IDS))
    found = read_arrays(tmp_path / "drawn.npz")
    held = set(IDS[sampled(IDS, (3, 32, 32))].tolist())
    for norm in Norm:
        keep = [row for row, point in enumerate(whole[f"id_{norm}"].tolist()) if point in held]
        for part in ("id", "image", "clean"):
            assert np.array_equal(found[f"{part}_{norm}"], whole[f"{part}_{norm}"][keep])
    assert len(found["id_Linf"]) > 0
    assert found["image_L0"].shape == (0, 3, 32, 32)
    assert drawn(tmp_path / "drawn.npz", IDS) == (tmp_path / "drawn.npz").read_bytes()


def test_a_damaged_run_is_told(run):
    path, _ = run
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(SubmissionError, match=r"witnesses\.npz"):
        drawn(path, IDS)


def test_witnesses_of_other_points_are_refused(tmp_path):
    folder = write(tmp_path, witnesses=True)
    path = folder / "witnesses.npz"
    arrays = read_arrays(path)
    path.write_bytes(pack_arrays({name: values[:-1] for name, values in arrays.items()}))
    says = "has witnesses for other points than those of the sample with a finite distance."
    assert problems(folder) == [f"witnesses.npz: {norm} {says}" for norm in Norm]
