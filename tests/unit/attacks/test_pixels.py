import pytest
import torch

from bench.attacks import pixels
from bench.errors import ContractError
from tests.support.sparse_oracle import LinearProblem


def test_a_pixel_counts_once_however_many_channels_change():
    clean = torch.full((1, 3, 2, 2), 0.5)
    image = clean.clone()
    image[0, :, 0, 0] = 1.0
    image[0, 1, 1, 1] = 0.0
    assert pixels.count(clean, image).tolist() == [2]


def test_changes_whose_channel_sum_is_zero_are_counted():
    clean = torch.full((1, 3, 1, 2), 0.5)
    image = clean.clone()
    image[0, 0, 0, 1], image[0, 1, 0, 1] = 0.75, 0.25
    assert pixels.count(clean, image).tolist() == [1]


def test_changes_below_any_tolerance_are_counted():
    clean = torch.full((1, 1, 1, 2), 0.5)
    image = clean.clone()
    image[0, 0, 0, 0] = torch.nextafter(torch.tensor(0.5), torch.tensor(1.0))
    assert pixels.count(clean, image).tolist() == [1]


def test_the_margin_is_the_logit_of_the_label_minus_the_largest_other():
    logits = torch.tensor([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0]])
    assert pixels.margins(logits, torch.tensor([1, 0])).tolist() == [1.0, -2.0]


def test_a_tie_with_a_larger_class_index_is_not_broken():
    images = torch.zeros(1, 1, 1, 1)
    tied = torch.tensor([[2.0, 2.0]])
    assert pixels.judge(lambda _: tied, images, torch.tensor([0])).broken.tolist() == [False]
    assert pixels.judge(lambda _: tied, images, torch.tensor([1])).broken.tolist() == [True]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_logits_that_are_not_finite_give_no_number(bad):
    with pytest.raises(ContractError, match="NaN or infinite"):
        pixels.judge(lambda _: torch.tensor([[0.0, bad]]), torch.zeros(1, 1, 1, 1), torch.tensor([0]))


def test_corner_codes_and_corners_are_inverse():
    codes = torch.arange(8)[None]
    colours = pixels.corners(codes, 3)
    assert colours[0, :, 6].tolist() == [0.0, 1.0, 1.0]
    assert torch.equal(pixels.corner_codes(colours), codes)


def test_a_colour_inside_the_box_is_no_corner():
    flat = torch.tensor([[[0.0, 1.0, 1.0], [1.0, 1.0, 0.999]]])
    assert pixels.corner_codes(flat).tolist() == [[2, 3, 4]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "rising numbers"),
        ({"grid": (2, 1)}, "rising numbers"),
        ({"grid": (0, 1)}, "rising numbers"),
        ({"grid": ()}, "rising numbers"),
        ({"grid": 3}, "rising numbers"),
    ],
)
def test_a_grid_that_does_not_rise_from_one_is_refused(settings, message):
    with pytest.raises(ContractError, match=message):
        pixels.grid(settings)


@pytest.mark.parametrize("value", [0, 1.5, "9", (1,)])
def test_a_whole_number_setting_takes_nothing_else(value):
    with pytest.raises(ContractError, match="whole number"):
        pixels.whole({"steps": value}, "steps")


@pytest.mark.parametrize("value", [0, -1.0, "9"])
def test_a_number_setting_is_positive(value):
    with pytest.raises(ContractError, match="positive"):
        pixels.number({"alpha_init": value}, "alpha_init")


class Counted:
    """A sum over some pixels against a constant: the class changes when enough of them are bright."""

    def __init__(self, needed, places):
        self.needed, self.places, self.passes = needed, places, 0

    def __call__(self, images):
        self.passes += len(images)
        bright = images.flatten(1)[:, self.places].sum(dim=1) - self.needed + 0.5
        return torch.stack([-bright, bright], dim=1)


def test_elimination_gives_back_every_pixel_that_is_not_needed():
    model = Counted(needed=2, places=[0, 1, 2])
    clean = torch.zeros(1, 1, 4, 4)
    image = torch.ones(1, 1, 4, 4)
    image.flatten(1)[:, 9:] = 0
    kept = pixels.eliminate(model, clean, image, torch.tensor([0]), floor=0, budget=1000)
    assert pixels.count(clean, kept).tolist() == [2]
    assert model(kept).argmax(dim=1).tolist() == [1]


def test_elimination_stops_at_the_floor():
    model = Counted(needed=1, places=[0, 1, 2, 3])
    clean, image = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    kept = pixels.eliminate(model, clean, image, torch.tensor([0]), floor=3, budget=1000)
    assert pixels.count(clean, kept).tolist() == [3]


@pytest.mark.parametrize("budget", [0, 8, 9, 17, 30])
def test_elimination_never_exceeds_its_budget(budget):
    model = Counted(needed=1, places=[0])
    clean, image = torch.zeros(2, 1, 3, 3), torch.ones(2, 1, 3, 3)
    kept = pixels.eliminate(model, clean, image, torch.tensor([0, 0]), floor=0, budget=budget)
    assert model.passes <= 2 * budget
    swept = {0: 0, 8: 0, 9: 1, 17: 2, 30: 4}[budget]  # sweeps of 9, 8, 7 and 6 images
    assert pixels.count(clean, kept).tolist() == [9 - swept, 9 - swept]


def test_elimination_of_many_pixels_halves_them():
    model = Counted(needed=3, places=[0, 1, 2, 3])
    clean, image = torch.zeros(1, 1, 30, 30), torch.ones(1, 1, 30, 30)
    kept = pixels.eliminate(model, clean, image, torch.tensor([0]), floor=0, budget=6000)
    assert pixels.count(clean, kept).tolist() == [3]


@pytest.mark.parametrize("budget", [3, 8, 40])
def test_where_no_sweep_is_affordable_the_least_changed_pixels_go_by_halves(budget):
    model = Counted(needed=3, places=[0, 1, 2, 3])
    clean, image = torch.zeros(1, 1, 30, 30), torch.full((1, 1, 30, 30), 0.5)
    image.flatten(1)[:, :4] = 1
    kept = pixels.eliminate(model, clean, image, torch.tensor([0]), floor=0, budget=budget)
    assert model.passes <= budget
    assert model(kept).argmax(dim=1).tolist() == [1]
    assert pixels.count(clean, kept).tolist() == [{3: 113, 8: 4, 40: 3}[budget]]  # 900, 450, 225, 113, 57, 29, 15, 8, 4


def test_elimination_needs_no_company():
    problem = LinearProblem(12, (1, 8, 8))
    noisy = torch.where(torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(1)) < 0.4, 1.0, problem.images)
    noisy = torch.where(torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(2)) < 0.4, 0.0, noisy)
    rows = (problem(noisy).argmax(dim=1) != problem.labels).nonzero().flatten()
    assert len(rows) > 3
    together = pixels.eliminate(problem, problem.images[rows], noisy[rows], problem.labels[rows], floor=1, budget=500)
    for place, row in enumerate(rows.tolist()):
        alone = pixels.eliminate(
            problem, problem.images[[row]], noisy[[row]], problem.labels[[row]], floor=1, budget=500
        )
        assert torch.equal(alone[0], together[place])
    assert bool((problem(together).argmax(dim=1) != problem.labels[rows]).all())
    assert bool((pixels.count(problem.images[rows], together) >= problem.needed[rows]).all())


def test_a_missing_setting_is_refused():
    with pytest.raises(ContractError, match="steps"):
        pixels.whole({}, "steps")
    with pytest.raises(ContractError, match="alpha_init"):
        pixels.number({}, "alpha_init")
