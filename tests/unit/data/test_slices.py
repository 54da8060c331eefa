import numpy as np
import pytest

from bench.data.slices import Layout, from_slices
from bench.errors import InputError, UsageError

LAYOUT = Layout("toy", (2, 2, 1), {"test": 100, "train": 100}, ("even", "odd"))


def write(folder, first, last, split="test", **changed):
    ids = np.arange(first, last + 1)
    arrays = {
        "images": np.repeat(ids, 4).reshape(-1, 2, 2, 1).astype(np.uint8),
        "labels": ids % 2,
        "ids": ids,
    } | changed
    np.savez(folder / f"{split}-{first:04}-{last:04}.npz", **arrays)


def test_several_slices_are_put_together_in_the_order_wanted(tmp_path):
    write(tmp_path, 0, 9)
    write(tmp_path, 10, 19)
    found = from_slices(LAYOUT, tmp_path, "test", [12, 3, 19])
    assert found.ids.tolist() == [12, 3, 19]
    assert found.labels.tolist() == [0, 1, 1]
    assert found.pixels[:, 0, 0, 0].tolist() == [12, 3, 19]
    assert found.pixels.dtype == np.uint8


def test_overlapping_slices_give_each_point_once(tmp_path):
    write(tmp_path, 0, 9)
    write(tmp_path, 5, 14)
    assert from_slices(LAYOUT, tmp_path, "test", range(15)).ids.tolist() == list(range(15))


def test_a_point_in_no_slice_leaves_the_question_open(tmp_path):
    write(tmp_path, 0, 9)
    assert from_slices(LAYOUT, tmp_path, "test", [9, 10]) is None
    assert from_slices(LAYOUT, tmp_path, "train", [0]) is None
    assert from_slices(LAYOUT, tmp_path / "absent", "test", [0]) is None


def test_files_of_other_names_are_left_alone(tmp_path):
    (tmp_path / "test-0000-0009.npz.part").write_bytes(b"half")
    (tmp_path / "contest-0000-0009.npz").write_bytes(b"other")
    assert from_slices(LAYOUT, tmp_path, "test", [0]) is None


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"labels": np.arange(9) % 2}, "labels should be int64 of shape"),
        ({"labels": (np.arange(10) % 2).astype(np.int32)}, "got int32"),
        ({"images": np.zeros((10, 2, 2, 1), np.float32)}, "images should be uint8"),
        ({"images": np.zeros((10, 1, 2, 2), np.uint8)}, r"got uint8 of shape \(10, 1, 2, 2\)"),
        ({"ids": np.arange(1, 11)}, r"ids should be 0\.\.9"),
        ({"labels": np.full(10, 7)}, r"a label lies outside 0\.\.1"),
        ({"labels": np.full(10, None)}, "plain arrays"),
    ],
)
def test_a_slice_that_is_not_what_its_name_says_is_refused(tmp_path, changed, says):
    write(tmp_path, 0, 9, **changed)
    with pytest.raises(InputError, match=says):
        from_slices(LAYOUT, tmp_path, "test", [0])


def test_a_slice_without_labels_is_refused(tmp_path):
    np.savez(tmp_path / "test-0000-0009.npz", images=np.zeros((10, 2, 2, 1), np.uint8), ids=np.arange(10))
    with pytest.raises(InputError, match="labels"):
        from_slices(LAYOUT, tmp_path, "test", [0])


def test_a_damaged_slice_is_refused(tmp_path):
    write(tmp_path, 0, 9)
    path = tmp_path / "test-0000-0009.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="fetch it again"):
        from_slices(LAYOUT, tmp_path, "test", [0])


def test_a_damaged_slice_that_is_not_needed_does_no_harm(tmp_path):
    write(tmp_path, 0, 9)
    (tmp_path / "test-0010-0019.npz").write_bytes(b"garbage")
    assert len(from_slices(LAYOUT, tmp_path, "test", [0])) == 1


def test_points_beyond_the_split_are_the_callers_mistake():
    with pytest.raises(UsageError, match=r"no point 100 \(ids 0\.\.99\)"):
        LAYOUT.check("test", [0, 100])
    with pytest.raises(UsageError, match="no split 'val'; it has test, train"):
        LAYOUT.check("val", [0])
