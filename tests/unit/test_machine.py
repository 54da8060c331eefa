"""The building blocks of machine code, each run once."""

import pytest
import torch
from llvmlite import ir

from bench.machine import FLOAT, LANES, Code, Kernel, number, vector, whole


def compiled(write, tensors):
    """Return a function of so many tensors and one whole number, whose body ``write`` builds."""
    module = ir.Module()
    kernel = Kernel(module, "function", tensors, numbers=1)
    write(kernel)
    kernel.build.ret_void()
    code = Code(module)
    return lambda tensors, size: code("function", tensors, size)


def test_a_loop_takes_every_index_once():
    def double(kernel):
        source, target = kernel.tensors
        with kernel.loop(whole(0), kernel.numbers[0], LANES) as index:
            kernel.store(kernel.build.fmul(kernel.load(source, index), vector(2.0)), target, index)

    given, found = torch.arange(float(3 * LANES)), torch.full((4 * LANES,), -7.0)
    compiled(double, 2)([given, found], 3 * LANES)
    assert torch.equal(found[: 3 * LANES], 2 * given)
    assert bool((found[3 * LANES :] == -7).all())


@pytest.mark.parametrize(("limit", "turns"), [(0.5, 1), (5, 5), (1e9, 8)])
def test_repeating_ends_with_its_flag_or_with_its_limit(limit, turns):
    def count(kernel):
        build, (target, most) = kernel.build, kernel.tensors

        def turn():
            ahead = build.fadd(build.load(target), number(1.0))
            build.store(ahead, target)
            return build.fcmp_ordered("<", ahead, build.load(most))

        kernel.repeat(8, turn)

    found = torch.zeros(1)
    compiled(count, 2)([found, torch.tensor([float(limit)])], 0)
    assert float(found) == turns


@pytest.mark.parametrize(("join", "expected"), [("most", max), ("least", min), ("sum", sum)])
def test_a_vector_folds_into_one_number(join, expected):
    def fold(kernel):
        how = kernel.build.fadd if join == "sum" else getattr(kernel, join)
        kernel.build.store(kernel.fold(kernel.load(kernel.tensors[0], whole(0)), how), kernel.tensors[1])

    numbers = torch.randint(-50, 50, (LANES,), generator=torch.Generator().manual_seed(3)).float()
    found = torch.zeros(1)
    compiled(fold, 2)([numbers, found], 0)
    assert float(found) == expected(numbers.tolist())


def test_a_number_spreads_over_a_vector_and_loses_its_sign():
    def spread(kernel):
        first = kernel.build.load(kernel.tensors[0], typ=FLOAT)
        kernel.store(kernel.size(kernel.spread(first)), kernel.tensors[1], whole(0))

    found = torch.zeros(LANES)
    compiled(spread, 2)([torch.tensor([-2.5]), found], 0)
    assert torch.equal(found, torch.full((LANES,), 2.5))


def test_a_tensor_out_of_order_is_refused():
    code = compiled(lambda kernel: None, 1)
    with pytest.raises(ValueError, match="not contiguous"):
        code([torch.zeros(4, 4).t()], 0)
