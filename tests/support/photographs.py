"""Small image files whose pixels are known."""

import numpy as np
from PIL import Image


def photograph(path, width, height, seed=0, mode="RGB"):
    """Write a PNG of drawn pixels and return them, height × width × channels."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels if channels > 1 else pixels[:, :, 0]).save(path)
    return pixels


def lossless(path, width, height, seed):
    """Write a photograph without loss under a name that promises another format, which no decoder looks at."""
    pixels = photograph(path.with_suffix(".png"), width, height, seed)
    path.with_suffix(".png").rename(path)
    return pixels


def tree(folder, names, side=8):
    """Write two images into a folder for each name and return them in order."""
    return [
        photograph(folder / name / f"{index}.png", side, side, seed=10 * place + index)
        for place, name in enumerate(names)
        for index in range(2)
    ]
