"""Eight by eight stripes, in two classes: upright and level."""

import numpy as np

from bench.data.dataset import DATASETS, DataSource, EvalSet

CLASSES = ("upright", "level")


def load(split, wanted):
    ids = np.array(list(wanted), dtype=np.int64)
    pixels = np.zeros((len(ids), 8, 8, 1), dtype=np.uint8)
    for row, point in enumerate(ids):
        stripe = int(point) // 2 % 8
        pixels[row, ..., 0] = 16 * (
            np.eye(8, dtype=np.uint8)[[stripe]] if point % 2 == 0 else np.eye(8, dtype=np.uint8)[:, [stripe]]
        )
    return EvalSet("plugged-stripes", split, pixels, 16, ids % 2, ids, CLASSES)


DATASETS.register("plugged-stripes")(DataSource("plugged-stripes", load, (1, 8, 8), CLASSES, "nobody's"))
