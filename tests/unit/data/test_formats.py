"""Data of one's own: where they lie, which class each image has, and what is refused."""

import pickle  # noqa: TID251 - to see that none is opened

import numpy as np
import pytest

from bench.data.listing import read_labels
from bench.errors import InputError, ProtocolError, UsageError
from bench.evaluation.plan import own as rules
from bench.evaluation.plan.source import source_of
from bench.protocol.own import find
from tests.support.photographs import photograph, tree

NAMES = ("ant", "bee", "cat", "dog")


@pytest.fixture
def protocol(tmp_path):
    def write(settings, form="folder", points=4):
        text = (
            f'name = "mine"\nextends = "cifar10-v1"\n[data]\ndataset = "{form}"\npoints = {points}\n[data.settings]\n'
        )
        (tmp_path / "mine.toml").write_text(text + settings, "utf-8")
        return find(str(tmp_path / "mine.toml"))

    return write


@pytest.fixture
def listed(tmp_path):
    (tmp_path / "classes.txt").write_text("\n".join(NAMES) + "\n", "utf-8")


FOLDER = 'path = "images"\nclasses = "classes.txt"\ncrop = 8\n'


def test_a_class_is_numbered_by_the_list_and_not_by_the_folders_at_hand(protocol, listed, tmp_path):
    pixels = tree(tmp_path / "images", ["bee", "dog"])
    source = source_of(protocol(FOLDER))
    assert (source.shape, source.classes) == ((3, 8, 8), NAMES)
    points = source.load("test", [3, 0])
    assert points.labels.tolist() == [3, 1]
    assert points.ids.tolist() == [3, 0]
    np.testing.assert_array_equal(points.pixels, np.stack([pixels[3], pixels[0]]))


def test_a_table_says_which_images_there_are_in_which_order(protocol, tmp_path):
    tree(tmp_path / "images", ["x", "y"])
    (tmp_path / "labels.csv").write_text("class,file\n6,y/1.png\n2,x/0.png\n", "utf-8")
    source = source_of(protocol('path = "images"\nlabels = "labels.csv"\ncount = 7\ncrop = 8\n'))
    assert len(source.classes) == 7
    assert source.load("test", [0, 1]).labels.tolist() == [6, 2]
    with pytest.raises(UsageError, match="has no image 2; it has 2"):
        source.load("test", [2])


def test_a_table_that_pins_each_image_finds_the_one_that_changed(protocol, listed, tmp_path):
    tree(tmp_path / "images", ["bee", "dog"])
    (tmp_path / "pinned.csv").write_text(rules.pin(protocol(FOLDER)), "utf-8")
    assert len(read_labels(tmp_path / "pinned.csv", 4)) == 4
    pinned = source_of(protocol(FOLDER + 'labels = "pinned.csv"\n'))
    before = pinned.load("test", range(4))
    photograph(tmp_path / "images" / "dog" / "1.png", 8, 8, seed=99)
    assert pinned.load("test", range(3)).digest == before.head(3).digest
    with pytest.raises(InputError, match=r"dog/1\.png.* decodes to pixels of sha256"):
        pinned.load("test", [3])


def test_training_images_come_from_a_folder_of_their_own(protocol, listed, tmp_path):
    tree(tmp_path / "images", ["bee"])
    tree(tmp_path / "more", ["cat"])
    assert source_of(protocol(FOLDER + 'train = "more"\n')).load("train", [1]).labels.tolist() == [2]
    with pytest.raises(UsageError, match="no split 'train'"):
        source_of(protocol(FOLDER)).load("train", [0])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ('path = "nowhere"\n', r"line 7, data\.settings\.path: '.*nowhere' is no folder"),
        ('path = "images"\ncolour = 3\n', r"line 8, data\.settings\.colour: Extra inputs"),
        ('path = "images"\n', r"line 6, data\.settings\.crop: Field required"),
        ('path = "images"\ncrop = "big"\n', r"line 8, data\.settings\.crop: .*integer.*got 'big'"),
        ('path = "images"\ncrop = 8\n', r"line 6, data\.settings: say which number each class has"),
        ('path = "images"\ncrop = 8\nclasses = "classes.txt"\ncount = 4\n', r"how many classes"),
        (FOLDER + "size = 9\n", r"size and interpolation go together"),
        (FOLDER + 'size = 4\ninterpolation = "bicubic"\n', r"a square of 8 pixels cannot be cut"),
        (FOLDER + 'size = 9\ninterpolation = "cubic"\n', r"line 11, data\.settings\.interpolation: .*got 'cubic'"),
        (FOLDER + 'train_labels = "classes.txt"\n', r"train_labels goes with train"),
    ],
)
def test_a_wrong_setting_is_named_with_its_line(protocol, listed, tmp_path, settings, says):
    tree(tmp_path / "images", ["bee"])
    with pytest.raises(ProtocolError, match=r"mine\.toml, " + says if says.startswith("line") else says):
        source_of(protocol(settings))


@pytest.mark.parametrize(
    ("place", "says"),
    [("images/wasp/0.png", "wasp' bears the name of none of the 4 classes"), ("images/bee/notes.md", "is no image")],
)
def test_what_is_not_listed_is_refused(protocol, listed, tmp_path, place, says):
    tree(tmp_path / "images", ["bee"])
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_bytes(b"")
    with pytest.raises(InputError, match=says):
        source_of(protocol(FOLDER)).load("test", [0])


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("classes.txt", "", "lists no class"),
        ("classes.txt", "ant\n\nbee\n", "line 2: a class has no name"),
        ("classes.txt", "ant\nbee\nant\n", "line 3: 'ant' stands there twice"),
        ("labels.csv", "path,class\na.png,0\n", "line 1: expected the columns"),
        ("labels.csv", "file,class\na.png,4\n", r"line 2, class: expected a number from 0 to 3, got '4'"),
        ("labels.csv", "file,class\na.png,0\na.png,1\n", r"line 3, file: .*got 'a.png'"),
        ("labels.csv", "file,class\na.png\n", r"line 2, class: .*got ''"),
        ("labels.csv", "file,class\n", "lists no image"),
    ],
)
def test_a_list_that_is_wrong_is_named_with_its_line(protocol, listed, tmp_path, name, text, says):
    tree(tmp_path / "images", ["bee"])
    (tmp_path / "labels.csv").write_text("file,class\nbee/0.png,0\n", "utf-8")
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(InputError, match=f"{name}.*{says}"):
        source_of(protocol(FOLDER + 'labels = "labels.csv"\n'))


def arrays(path, **changed):
    generator = np.random.default_rng(0)
    whole = {"images": generator.integers(0, 17, (5, 4, 6, 3), dtype=np.uint8), "labels": np.arange(5) % 3} | changed
    np.savez(path, **{name: array for name, array in whole.items() if array is not None})
    return whole


def test_arrays_are_taken_by_their_place(protocol, tmp_path):
    whole = arrays(tmp_path / "a.npz")
    source = source_of(protocol('path = "a.npz"\ncount = 3\nscale = 16\n', "npz"))
    assert (source.shape, source.classes) == ((3, 4, 6), ("0", "1", "2"))
    points = source.load("test", [4, 1])
    np.testing.assert_array_equal(points.pixels, whole["images"][[4, 1]])
    assert points.labels.tolist() == [1, 1]
    assert points.images().max() <= 1
    with pytest.raises(UsageError, match="has no image 5; it has 5"):
        source.load("test", [5])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"images": None}, "no array 'images'"),
        ({"images": np.zeros((5, 3, 4, 6), np.float32)}, "images should be uint8.*got float32"),
        ({"images": np.zeros((5, 12), np.uint8)}, r"got uint8 of shape \(5, 12\)"),
        ({"labels": np.arange(5).astype(np.int32)}, "labels should be int64"),
        ({"labels": np.arange(4)}, "5 images and 4 labels"),
        ({"labels": np.array([0, 1, 2, 3, 0])}, r"a label lies outside 0\.\.2"),
        ({"labels": np.array([print] * 5, object)}, "labels should be int64.*got object"),
    ],
)
def test_arrays_that_are_something_else_are_refused_before_they_are_decoded(protocol, tmp_path, changed, says):
    arrays(tmp_path / "a.npz", **changed)
    with pytest.raises(InputError, match=says):
        source_of(protocol('path = "a.npz"\ncount = 3\n', "npz")).load("test", [0, 1, 2, 3])


def test_a_file_that_is_no_archive_is_never_unpickled(protocol, tmp_path):
    (tmp_path / "a.npz").write_bytes(pickle.dumps(np.zeros(3)))
    with pytest.raises(InputError, match=r"cannot be read as an \.npz"):
        source_of(protocol('path = "a.npz"\ncount = 3\n', "npz"))


def test_a_registered_data_set_takes_no_settings(protocol):
    with pytest.raises(ProtocolError, match=r"line 6, data\.settings: cifar10 takes no settings"):
        source_of(protocol("crop = 3\n", "cifar10"))
    with pytest.raises(ProtocolError, match=r"line 4, data\.dataset: .*Did you mean 'folder'"):
        source_of(protocol("", "folders"))
