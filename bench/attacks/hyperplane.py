"""The nearest point of a hyperplane within the box, as machine code that visits each image once.

In torch every step of Newton's method is five passes over the memory of a batch, which together cost FAB as much as a
pass through a small network. Here the numbers of an image stay in the cache until its step is found.
"""

from functools import cache

import torch
from jaxtyping import Float
from llvmlite import ir
from torch import Tensor

from bench.machine import FLOAT, LANES, VECTOR, Code, Kernel, number, vector, whole
from bench.threats import Norm

NEWTON_STEPS = 64
"""Three to six suffice on images."""
TINY = 1e-12
_MOST, _LEAST = torch.finfo(torch.float32).max, torch.finfo(torch.float32).tiny

_Rows = Float[Tensor, "batch numbers"]


def fits(rows: _Rows) -> bool:
    """Tell whether `step` takes images of this kind."""
    return rows.device.type == "cpu" and rows.dtype is torch.float32 and rows.shape[1] % LANES == 0


def step(start: _Rows, normal: _Rows, excess: Float[Tensor, " batch"], norm: Norm) -> _Rows:
    """Return what `bench.attacks.projections.onto_hyperplane` does, for images that fit."""
    start, normal, excess = (tensor.contiguous() for tensor in (start, normal, excess))
    result, scratch = torch.empty_like(start), start.new_empty(2, start.shape[1])
    _code()(norm, [start, normal, excess, scratch, result], *start.shape)
    return result


@cache
def _code() -> Code:
    module = ir.Module()
    for norm in (Norm.LINF, Norm.L2):
        _Step(module, norm).write()
    return Code(module)


class _Step(Kernel):
    """One function per norm, with room for the weights of an image and for how far each of its numbers may move."""

    def __init__(self, module: ir.Module, norm: Norm) -> None:
        super().__init__(module, norm, tensors=5, numbers=2)
        self._euclidean = norm is Norm.L2
        self._vectors = [self.build.alloca(VECTOR) for _ in range(2)]
        self._root = self.build.alloca(FLOAT)
        self._weight, self._count = self.tensors[3], self.numbers[1]
        self._room = self.build.gep(self._weight, [self._count])

    def write(self) -> None:
        """Build the whole function."""
        build = self.build
        with self.loop(whole(0), self.numbers[0], 1) as row:
            at = build.mul(row, self._count)
            start, normal, result = (build.gep(self.tensors[place], [at]) for place in (0, 1, 4))
            excess = build.load(build.gep(self.tensors[2], [row]))
            scale = self._largest(normal)
            plane = build.fcmp_ordered(">", excess, number(0.0))
            turn = self.spread(build.fdiv(build.select(plane, number(-1.0), number(1.0)), scale))
            need = self.least(build.fdiv(self.size(excess), scale), number(_MOST))
            self._climb(need, *self._measure(start, normal, turn))
            self._go(normal, turn, result)
        build.ret_void()

    def _largest(self, normal: ir.Value) -> ir.Value:
        """Return the largest size of a number of the normal, but not zero."""
        build, (most, _) = self.build, self._vectors
        build.store(vector(_LEAST), most)
        with self.loop(whole(0), self._count, LANES) as index:
            build.store(self.most(build.load(most), self.size(self.load(normal, index))), most)
        return self.fold(build.load(most), self.most)

    def _measure(self, start: ir.Value, normal: ir.Value, turn: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Note weights and rooms; return the sums of all rates and of all caps."""
        build = self.build
        self._clear()
        with self.loop(whole(0), self._count, LANES) as index:
            toward, here = build.fmul(self.load(normal, index), turn), self.load(start, index)
            grows = build.fcmp_ordered(">", toward, vector(0.0))
            weight, room = self.size(toward), build.select(grows, build.fsub(vector(1.0), here), self.size(here))
            self.store(weight, self._weight, index)
            self.store(room, self._room, index)
            self._count_in(weight, room)
        return self._sums()

    def _climb(self, need: ir.Value, all_rates: ir.Value, all_caps: ir.Value) -> None:
        """Find the root by Newton's method from the left, until it stays put."""
        build = self.build
        first = self.least(build.fdiv(need, self.most(all_rates, number(TINY))), number(_MOST))
        build.store(first, self._root)

        def turn() -> ir.Value:
            root = build.load(self._root)
            self._clear()
            with self.loop(whole(0), self._count, LANES) as index:
                weight, room = self.load(self._weight, index), self.load(self._room, index)
                growing = build.fcmp_ordered(">", room, self._reach(root, weight))
                self._count_in(*(build.select(growing, value, vector(0.0)) for value in (weight, room)))
            rate, cap = self._sums()
            missing = build.fsub(need, build.fsub(all_caps, cap))
            ahead = build.fdiv(missing, self.most(rate, number(TINY)))
            ahead = build.select(build.fcmp_ordered(">", rate, number(0.0)), ahead, number(_MOST))
            ahead = self.most(root, self.least(ahead, number(_MOST)))
            build.store(ahead, self._root)
            return build.fcmp_ordered(">", ahead, root)

        self.repeat(NEWTON_STEPS, turn)

    def _go(self, normal: ir.Value, turn: ir.Value, result: ir.Value) -> None:
        """Write the step: each number as far as the root says, at most its room, towards the plane."""
        build, root = self.build, self.build.load(self._root)
        with self.loop(whole(0), self._count, LANES) as index:
            weight, room = self.load(self._weight, index), self.load(self._room, index)
            toward = build.fmul(self.load(normal, index), turn)
            length = self.least(self._reach(root, weight), room)
            up, down = (build.fcmp_ordered(sign, toward, vector(0.0)) for sign in "><")
            # what the plane ignores stays, and what is no number remains none
            moved = build.select(up, length, build.select(down, build.fneg(length), toward))
            self.store(moved, result, index)

    def _reach(self, root: ir.Value, weight: ir.Value) -> ir.Value:
        spread = self.spread(root)
        return self.build.fmul(spread, weight) if self._euclidean else spread

    def _clear(self) -> None:
        for total in self._vectors:
            self.build.store(vector(0.0), total)

    def _count_in(self, weight: ir.Value, room: ir.Value) -> None:
        """Add rates and caps of some numbers."""
        build = self.build
        terms = build.fmul(weight, weight) if self._euclidean else weight, build.fmul(weight, room)
        for total, term in zip(self._vectors, terms, strict=True):
            build.store(build.fadd(build.load(total), term), total)

    def _sums(self) -> tuple[ir.Value, ir.Value]:
        rate, cap = (self.fold(self.build.load(total), self.build.fadd) for total in self._vectors)
        return rate, cap
