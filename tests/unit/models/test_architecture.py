import pytest
import torch

from bench.errors import ArtefactError, UsageError
from bench.models.architecture import ARCHITECTURES, Variant
from bench.models.source import ModelRef, architecture, hold_task, load
from bench.models.weights import save


@pytest.fixture
def placed(tmp_path):
    """Save random weights of an architecture and load them under another spelling of it."""

    def there_and_back(written, read, **options):
        save(tmp_path / "mine.safetensors", architecture(written).build().state_dict())
        return load(ModelRef.parse(str(tmp_path / "mine.safetensors"), architecture=read, **options))

    return there_and_back


@pytest.mark.parametrize("classes", [2, 3, 37, 1000])
@pytest.mark.parametrize("name", ["resnet20", "digits-mlp", "vgg11-bn-hydra"])
def test_the_classes_are_those_of_the_file(placed, name, classes):
    loaded = placed(f"{name}?num_classes={classes}", name)
    assert loaded.classes == classes
    assert loaded.architecture == f"{name}?num_classes={classes}"
    assert loaded.whole is None, "other classes are no missing channels"
    assert loaded.classifier(torch.zeros(2, *loaded.shape)).shape == (2, classes)


def test_classes_that_are_named_must_be_those_of_the_file(placed):
    with pytest.raises(
        ArtefactError, match=r"'linear\.weight' should have shape \(10, 64\) or smaller, got \(37, 64\)"
    ):
        placed("resnet20?num_classes=37", "resnet20?num_classes=10")
    with pytest.raises(ArtefactError, match=r"should give 37 logits, got shape \(10,\)"):
        placed("resnet20", "resnet20?num_classes=37")


@pytest.mark.parametrize("spelling", ["wrn-28-4", "digits-cnn", "densenet40?num_classes=37", "resnet20?img_size=48x64"])
def test_a_spelling_is_read_back_as_it_is_recorded(spelling):
    made = architecture(spelling)
    assert made.name == spelling
    assert architecture(made.name) == made


@pytest.mark.parametrize(
    ("spelling", "says"),
    [
        ("resnet20?num_classes=1", "one logit tells nothing apart"),
        ("resnet20?num_classes=0", "num_classes should be a positive number, got '0'"),
        ("resnet20?num_classes=ten", "got 'ten'"),
        ("resnet20?num_classes=3&num_classes=4", "each given once"),
        ("resnet20?classes=3", "'classes' should be one of num_classes, img_size, in_chans"),
        ("resnet20?", None),
        ("resnet20?in_chans=1", "takes images of 3 channels and no others"),
        ("resnet20?img_size=32x", None),
        ("resnet20-con?num_classes=3", "Did you mean 'resnet20-conv'"),
        ("embedded:digits-cnn-linf", "registered architecture or published:NAME or robustbench:NAME or timm:NAME"),
    ],
)
def test_what_follows_the_question_mark_is_held_to_its_words(spelling, says):
    if says is None:
        assert architecture(spelling).classes == 10
        return
    with pytest.raises(UsageError, match=says):
        architecture(spelling)


def test_a_size_that_a_network_cannot_take_is_refused(placed):
    loaded = placed("resnet20", "resnet20?img_size=64")
    assert loaded.shape == (3, 64, 64)
    with pytest.raises(ArtefactError, match="or no 3×64×64 images"):
        placed("cnn-a", "cnn-a?img_size=64")
    assert Variant.parse("x?img_size=8x16").size == (8, 16)


def test_a_task_of_other_images_or_classes_is_refused_with_the_spelling_that_says_otherwise(placed):
    loaded = placed("resnet20", "resnet20")
    hold_task(loaded, (3, 32, 32), 10, "cifar10")
    with pytest.raises(
        UsageError, match=r"images of 3×32×32 and tells 10 .*; tiny has images of 3×64×64 .*img_size=64'"
    ):
        hold_task(loaded, (3, 64, 64), 10, "tiny")
    with pytest.raises(UsageError, match=r"tells 10 classes apart; cifar100 has images of 3×32×32 and 100 classes\.$"):
        hold_task(loaded, (3, 32, 32), 100, "cifar100")


def test_weights_of_another_network_of_the_registry_name_it(placed):
    with pytest.raises(ArtefactError, match="they are those of --arch preact-resnet18-bn"):
        placed("preact-resnet18-bn?num_classes=37", "preact-resnet18")


def test_every_architecture_has_a_head_that_grows_with_its_classes():
    for name in ARCHITECTURES:
        made = ARCHITECTURES[name]
        with torch.device("meta"):
            few, many = (made.of(classes=classes).build().state_dict() for classes in (3, 7))
        assert few.keys() == many.keys()
        grown = [key for key in few if few[key].shape != many[key].shape]
        assert grown, name
        assert all((few[key].shape[0], many[key].shape[0]) == (3, 7) for key in grown), name
