from fractions import Fraction

import pytest
import torch
from torch import nn

from bench.data.dataset import DATASETS
from bench.models.manifest import manifest, outcomes
from bench.models.training import Adversary, Course, correct, correct_under, initialise, train
from bench.threats import Norm, ThreatModel

THREATS = [ThreatModel(Norm.LINF, Fraction(1, 10)), ThreatModel(Norm.L2, Fraction(1, 2))]


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def linear():
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    initialise(network, draws())
    return network.eval()


def grey(count=6):
    return torch.full((count, 1, 4, 4), 0.5)


def size(change, norm):
    flat = change.flatten(1)
    return flat.abs().amax(dim=1) if norm is Norm.LINF else flat.norm(dim=1)


@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_perturbed_images_stay_in_the_ball_and_in_range(threat):
    images = torch.rand(6, 1, 4, 4, generator=draws(1))
    before = images.clone()
    perturbed = Adversary(threat, 10).perturb(linear(), images, torch.zeros(6, dtype=torch.long), draws())
    assert (size(perturbed - images, threat.norm) <= float(threat.epsilon) * (1 + 1e-5)).all()
    assert 0 <= perturbed.min() <= perturbed.max() <= 1
    assert torch.equal(images, before)


@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_on_a_linear_model_the_margin_falls_by_nearly_the_dual_norm_and_never_more(threat):
    network, labels = linear(), torch.zeros(6, dtype=torch.long)
    weight = network[1].weight[1] - network[1].weight[0]
    dual = weight.norm(p=1 if threat.norm is Norm.LINF else 2) * float(threat.epsilon)
    perturbed = Adversary(threat, 40).perturb(network, grey(), labels, draws())
    gain = (network(perturbed) - network(grey())) @ torch.tensor([-1.0, 1.0])
    assert (gain <= dual * (1 + 1e-5)).all()
    assert (gain >= dual * 0.95).all()


@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_a_zero_gradient_gives_no_nan(threat):
    network = linear()
    nn.init.zeros_(network[1].weight)
    perturbed = Adversary(threat, 3).perturb(network, grey(), torch.zeros(6, dtype=torch.long), draws())
    assert perturbed.isfinite().all()


def course(**changed):
    settings = {"epochs": 2, "batch": 64, "learning_rate": 0.01, "weight_decay": 0.0, "seed": 3, "adversary": None}
    return Course(**settings | changed)


def test_the_same_seed_trains_the_same_network_and_leaves_the_global_numbers_alone():
    lessons = DATASETS["digits"].load("train", range(192))
    images, labels = lessons.images(), lessons.label_tensor()
    before = torch.get_rng_state()
    trained, epochs = [], []
    for seed in (3, 3, 4):
        network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10))
        state = torch.get_rng_state()
        plan = course(seed=seed, adversary=Adversary(THREATS[0], 2))
        train(network, images, labels, plan, on_epoch=lambda: epochs.append(1))
        assert torch.equal(torch.get_rng_state(), state)
        assert not network.training
        trained.append(network.state_dict())
    torch.set_rng_state(before)
    assert len(epochs) == 3 * 2
    first, again, other = trained
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["3.weight"], other["3.weight"])


def test_training_learns():
    lessons, exam = DATASETS["digits"].load("train", range(500)), DATASETS["digits"].load("test", range(100))
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    plan = course(epochs=8)
    train(network, lessons.images(), lessons.label_tensor(), plan, on_epoch=lambda: None)
    assert correct(network, exam.images(), exam.label_tensor()) >= 80


def test_training_the_tiny_network_again_reproduces_its_record(tmp_path, capfd):
    """Another processor may round otherwise, so counts may differ by two points in a hundred, bytes altogether."""
    import json

    from bench.cli.main import run

    assert run(["train", "digits-tiny-linf", "--out", str(tmp_path), "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    network = document["networks"]["digits-tiny-linf"]
    recorded = outcomes()["digits-tiny-linf"]
    assert network["recorded"] == recorded.model_dump()
    assert network["same_bytes"] == (network["trained"]["sha256"] == recorded.sha256)
    allowed = recorded.points // 50
    assert abs(network["trained"]["correct"] - recorded.correct) <= allowed
    for threat, standing in recorded.standing.items():
        assert abs(network["trained"]["standing"][threat] - standing) <= allowed
    written = json.loads((tmp_path / "models.json").read_text())
    assert written == {"digits-tiny-linf": network["trained"]}
    assert (tmp_path / "digits-tiny-linf.safetensors").stat().st_size == network["trained"]["bytes"]


def test_what_cannot_work_is_said_before_anything_is_trained(tmp_path, capfd):
    from bench.cli.main import run

    assert run(["train", "digits-tiny", "--out", str(tmp_path / "out")]) == 2
    assert "Did you mean 'digits-tiny-linf'" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").touch()
    assert run(["train", "digits-tiny-linf", "--out", str(tmp_path / "file" / "out")]) == 1
    assert "cannot be made" in capfd.readouterr().err


def test_the_records_are_what_the_shipped_networks_do():
    from bench.models.source import ModelRef, load

    rules = manifest()
    exam = DATASETS[rules.data.dataset].load("test", range(rules.data.test))
    images, labels = exam.images(), exam.label_tensor()
    for name in ("digits-resnet-l2", "digits-mlp-linf", "digits-cnn-natural"):
        model, recorded = load(ModelRef("embedded", name)).classifier, outcomes()[name]
        assert abs(correct(model, images, labels) - recorded.correct) <= 1
        for threat, adversary in rules.look.adversaries.items():
            standing = correct_under(model, images, labels, adversary, seed=rules.look.seed)
            assert abs(standing - recorded.standing[threat]) <= 5
