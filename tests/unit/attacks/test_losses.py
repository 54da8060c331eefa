import pytest
import torch

from bench.attacks.losses import (
    cross_entropy,
    margin,
    probability_margin,
    runner_up,
    targeted_difference,
    targeted_dlr,
)

LOGITS = torch.tensor([[5.0, 1.0, 3.0, -2.0, 0.0], [0.0, 4.0, 1.0, 2.0, 3.0]])
LABELS = torch.tensor([0, 2])


def test_cross_entropy_is_minus_the_log_probability():
    expected = -LOGITS.softmax(dim=1).log()[[0, 1], [0, 2]]
    torch.testing.assert_close(cross_entropy(LOGITS, LABELS), expected)


def test_the_margin_is_positive_only_where_the_point_is_right():
    assert margin(LOGITS, LABELS).tolist() == [2.0, -3.0]


def test_the_probability_margin_is_the_likeliest_other_class_less_the_truth():
    chances = LOGITS.softmax(dim=1)
    expected = torch.stack([chances[0, 2] - chances[0, 0], chances[1, 1] - chances[1, 2]])
    torch.testing.assert_close(probability_margin(LOGITS, LABELS), expected)


def test_the_gradient_of_the_probability_margin_is_that_of_the_paper():
    """With p the probabilities, the slope towards class i is p_i (1[i = m] - 1[i = y] - (p_m - p_y))."""
    logits = LOGITS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(probability_margin(logits, LABELS).sum(), logits)
    chances, rivals = LOGITS.softmax(dim=1), torch.tensor([2, 1])
    one, other = (torch.nn.functional.one_hot(classes, 5) for classes in (rivals, LABELS))
    value = probability_margin(LOGITS, LABELS)[:, None]
    torch.testing.assert_close(gradient, chances * (one - other - value))


def test_the_probability_margin_does_not_change_under_a_shift():
    torch.testing.assert_close(probability_margin(LOGITS + 100, LABELS), probability_margin(LOGITS, LABELS))


def test_the_targeted_difference_is_target_minus_truth():
    assert targeted_difference(LOGITS, LABELS, torch.tensor([2, 1])).tolist() == [-2.0, 3.0]


def test_targeted_dlr_divides_by_the_gap_to_the_mean_of_third_and_fourth():
    # sorted: 5 3 1 0 -2 and 4 3 2 1 0, so the gaps are 5 - 1/2 and 4 - 3/2
    expected = torch.tensor([-2 / 4.5, 3 / 2.5])
    torch.testing.assert_close(targeted_dlr(LOGITS, LABELS, torch.tensor([2, 1])), expected)


@pytest.mark.parametrize("logits", [[[5.0, 1.0]], [[5.0, 1.0, 3.0]]])
def test_targeted_dlr_of_fewer_than_four_classes_is_the_plain_difference(logits):
    assert targeted_dlr(torch.tensor(logits), torch.tensor([0]), torch.tensor([1])).tolist() == [-4.0]


@pytest.mark.parametrize("classes", [4, 10])
def test_targeted_dlr_does_not_change_under_shift_and_scale(classes):
    logits = torch.randn(6, classes, generator=torch.Generator().manual_seed(0))
    labels, targets = torch.zeros(6, dtype=torch.long), torch.ones(6, dtype=torch.long)
    torch.testing.assert_close(targeted_dlr(7 * logits + 3, labels, targets), targeted_dlr(logits, labels, targets))


@pytest.mark.parametrize("classes", [2, 3, 4, 10])
def test_targeted_dlr_has_a_gradient_towards_the_target_whatever_the_classes(classes):
    logits = torch.randn(4, classes, generator=torch.Generator().manual_seed(1)).requires_grad_()
    labels, targets = logits.argmax(dim=1), logits.argmin(dim=1)
    (gradient,) = torch.autograd.grad(targeted_dlr(logits, labels, targets).sum(), logits)
    assert bool((gradient.gather(1, targets[:, None]) > 0).all())


def test_runner_ups_come_in_order_and_skip_the_true_class():
    ranks = torch.stack([runner_up(LOGITS, LABELS, rank) for rank in range(4)], dim=1)
    assert ranks.tolist() == [[2, 1, 4, 3], [1, 4, 3, 0]]


def test_tied_runner_ups_are_still_all_different():
    logits, labels = torch.zeros(1, 5), torch.tensor([2])
    assert {int(runner_up(logits, labels, rank)) for rank in range(4)} == {0, 1, 3, 4}
