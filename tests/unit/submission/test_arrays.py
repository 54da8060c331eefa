"""Arrays in parts: the same bytes as whole ones, the same numbers when they are read, and the same faults."""

import io

import numpy as np
import pytest

from bench.errors import SubmissionError
from bench.submission import arrays as module
from bench.submission.arrays import Parts, opened_arrays, pack_arrays, read_arrays, write_arrays

IMAGES = np.random.default_rng(0).random((7, 3, 4, 4), np.float32)
WHOLE = {"image": IMAGES, "id": np.arange(7), "none": IMAGES[:0], "bits": IMAGES.mean(axis=(1, 2, 3)) > 0.5}


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "some.npz").write_bytes(pack_arrays(WHOLE))
    return tmp_path / "some.npz"


@pytest.mark.parametrize("cuts", [[], [3], [1, 2, 3, 4, 5, 6]])
def test_what_is_written_in_parts_has_the_bytes_of_the_whole(cuts):
    file = io.BytesIO()
    write_arrays(file, WHOLE | {"image": Parts(IMAGES.dtype, IMAGES.shape, lambda: np.split(IMAGES, cuts))})
    assert file.getvalue() == pack_arrays(WHOLE)


@pytest.mark.parametrize("at_once", [1, 192, 400, 2**25])
def test_what_is_read_in_parts_is_what_was_written(archive, monkeypatch, at_once):
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    found = read_arrays(archive)
    assert found.keys() == WHOLE.keys()
    for name, wanted in WHOLE.items():
        assert (found[name].dtype, found[name].shape) == (wanted.dtype, wanted.shape)
        assert np.array_equal(found[name], wanted)
        assert found[name].flags.writeable
    with opened_arrays(archive) as stored:
        sizes = [len(part) for part in stored.parts("image")]
        assert sum(sizes) == len(IMAGES)
        assert max(sizes) == max(1, min(len(IMAGES), at_once // 192))
        assert list(stored.parts("none")) == []


@pytest.mark.parametrize("array", [IMAGES[:6], np.concatenate([IMAGES, IMAGES[:1]])])
def test_parts_that_are_fewer_or_more_than_was_said_make_no_archive_to_read(tmp_path, array):
    file = io.BytesIO()
    write_arrays(file, {"image": Parts(IMAGES.dtype, IMAGES.shape, lambda: [array])})
    (tmp_path / "wrong.npz").write_bytes(file.getvalue())
    with pytest.raises(SubmissionError, match=r"wrong\.npz: expected plain arrays"):
        read_arrays(tmp_path / "wrong.npz")


def test_a_changed_byte_is_found_in_the_array_that_has_it(archive):
    content = bytearray(pack_arrays(WHOLE | {"image": np.tile(IMAGES, (500, 1, 1, 1))}))
    content[content.index(b"none.npy") - 60] ^= 1
    archive.write_bytes(content)
    with opened_arrays(archive) as stored:
        assert np.array_equal(stored["id"], WHOLE["id"])
        with pytest.raises(SubmissionError, match="expected plain arrays"):
            list(stored.parts("image"))


def test_what_goes_wrong_while_arrays_are_used_is_not_laid_on_the_archive(archive):
    def use():
        with opened_arrays(archive) as stored:
            for _ in stored.parts("image"):
                raise ValueError("of the user")

    with pytest.raises(ValueError, match="of the user"):
        use()
