"""CIFAR-100 with its fine labels, from slices or from the official batches, downloaded when there is a network."""

from collections.abc import Sequence

from bench.data import batches
from bench.data.dataset import DATASETS, DataSource, EvalSet
from bench.data.slices import Layout
from bench.download import Remote

_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl",
    "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair",
    "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin",
    "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp",
    "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck",
    "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel",
    "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip
_LAYOUT = Layout("cifar100", (32, 32, 3), {"test": 10_000, "train": 50_000}, _CLASSES)
_OFFICIAL = batches.archive(
    "cifar100",
    Remote(
        "cifar-100-python.tar.gz",
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        "md5:eb9058c3a382ffc7106e4002c42a8d85",
    ),
    {split: (f"cifar-100-python/{split}",) for split in ("test", "train")},
    "no licence stated; its author asks to be cited",
)


def load(split: str, ids: Sequence[int]) -> EvalSet:
    """Return images by their position in the official files; raises as ``batches.load`` does."""
    return batches.load(_OFFICIAL, _LAYOUT, "CIFAR100", split, ids)


DATASETS.register("cifar100")(
    DataSource(
        name="cifar100",
        load=load,
        shape=(3, 32, 32),
        classes=_LAYOUT.classes,
        citation="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, "
        "https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf",
        official=_OFFICIAL,
    )
)
