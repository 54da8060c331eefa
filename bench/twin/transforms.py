"""Winograd's transforms of tiles, as machine code for the processor at hand.

In torch every sum of a transform is a pass over memory, which costs more than the multiplications that a tile saves.
Here a tile is read once, transformed in registers and written once.

Source: Lavin & Gray 2015, arXiv:1509.09308: F(4x4, 3x3) and F(2x2, 3x3).
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cache

from jaxtyping import Float
from llvmlite import ir
from torch import Tensor

from bench.machine import LANES, Code, Kernel, vector, whole

_Row = Sequence[int | float]
_Matrix = Sequence[_Row]

TILES: dict[int, _Matrix] = {
    2: [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    4: [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]],
}  # fmt: skip
"""Bᵀ of the source: transforms a tile of the images along one axis. By the side of what a tile yields."""
WEIGHTS: dict[int, _Matrix] = {
    2: [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
    4: [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]],
}  # fmt: skip
"""G of the source: transforms a kernel along one axis."""
PRODUCTS: dict[int, _Matrix] = {
    2: [[1, 1, 1, 0], [0, 1, -1, -1]],
    4: [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
}
"""Aᵀ of the source: transforms products back along one axis."""


@dataclass(frozen=True, slots=True)
class Grid:
    """How the tiles of a batch lie on its images.

    Attributes:
        down, across: tiles per image; the last ones may reach beyond it.
    """

    height: int
    width: int
    channels: int
    down: int
    across: int


class Transforms:
    """Both transforms of F(side x side, 3x3). Images and tiles have their channels last in memory.

    Tiles are numbered across, down and from image to image.
    """

    def __init__(self, side: int) -> None:
        module = ir.Module()
        _write_into(module, side)
        _write_out(module, side)
        self._code = Code(module)

    def into(
        self,
        images: Float[Tensor, "batch height width channels"],
        border: Float[Tensor, " channels"],
        tiles: Float[Tensor, "count products channels"],
        part: range,
        grid: Grid,
    ) -> None:
        """Transform the tiles of ``part``; pixels beyond an image read ``border``, which is zero."""
        self._code("into", (images, border, tiles), part.start, part.stop, *astuple(grid))

    def out(
        self,
        products: Float[Tensor, "count products channels"],
        bias: Float[Tensor, " channels"],
        images: Float[Tensor, "batch height width channels"],
        part: range,
        grid: Grid,
    ) -> None:
        """Transform the products of the tiles of ``part`` back, add ``bias`` and write them into ``images``."""
        self._code("out", (products, bias, images), part.start, part.stop, *astuple(grid))


transforms = cache(Transforms)


class _Tiles(Kernel):
    """The steps that both transforms share."""

    def __init__(self, module: ir.Module, name: str, side: int) -> None:
        super().__init__(module, name, tensors=3, numbers=7)
        self.source, self.extra, self.target = self.tensors
        self.first, self.last, self.height, self.width, self.channels, self.down, self.across = self.numbers
        self.side = whole(side)

    def corner(self, tile: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
        """Return the image of a tile and the row and column where its result begins."""
        build = self.build
        row, column = build.sdiv(tile, self.across), build.srem(tile, self.across)
        image, down = build.sdiv(row, self.down), build.srem(row, self.down)
        return image, build.mul(down, self.side), build.mul(column, self.side)

    def pixel(self, image: ir.Value, row: ir.Value, column: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return where the channels of a pixel begin, and whether it lies on the image."""
        build = self.build
        inside = build.and_(
            build.icmp_unsigned("<", row, self.height),  # without a sign, what lies before the image lies far behind it
            build.icmp_unsigned("<", column, self.width),
        )
        at = build.add(build.mul(build.add(build.mul(image, self.height), row), self.width), column)
        return build.mul(at, self.channels), inside

    def row_of(self, tile: ir.Value, product: int, products: int) -> ir.Value:
        """Return where the channels of one product of a tile begin in what lies between the transforms."""
        build = self.build
        at = build.mul(build.sub(tile, self.first), whole(products))
        return build.mul(build.add(at, whole(product)), self.channels)

    def both_axes(self, matrix: _Matrix, square: Sequence[ir.Value]) -> list[ir.Value]:
        """Transform a square of vectors, row by row in memory, along both of its axes."""
        reach = len(matrix[0])
        columns = [self.along(matrix, square[column::reach]) for column in range(reach)]
        return [value for row in zip(*columns, strict=True) for value in self.along(matrix, row)]

    def along(self, matrix: _Matrix, vectors: Sequence[ir.Value]) -> list[ir.Value]:
        """Multiply by a matrix. Two rows a + b and a - b, whose a and b share no column, share their sums."""
        done: dict[int, ir.Value] = {}
        for first in range(len(matrix)):
            if first in done:
                continue
            for second in range(first + 1, len(matrix)):
                pairs = list(zip(matrix[first], matrix[second], strict=True))
                plus, minus = [(p + q) / 2 for p, q in pairs], [(p - q) / 2 for p, q in pairs]
                if any(plus) and any(minus) and not any(p and q for p, q in zip(plus, minus, strict=True)):
                    one, other = self._sum(plus, vectors), self._sum(minus, vectors)
                    done[first], done[second] = self.build.fadd(one, other), self.build.fsub(one, other)
                    break
            else:
                done[first] = self._sum(matrix[first], vectors)
        return [done[row] for row in range(len(matrix))]

    def _sum(self, row: _Row, vectors: Sequence[ir.Value]) -> ir.Value:
        total: ir.Value | None = None
        for factor, operand in sorted(zip(row, vectors, strict=True), key=lambda term: -term[0]):
            if factor == 0:
                continue
            size = vector(float(abs(factor)))
            term = operand if abs(factor) == 1 else self.build.fmul(operand, size)
            if total is None:
                total = term if factor > 0 else self.build.fneg(term)
            else:
                total = self.build.fadd(total, term) if factor > 0 else self.build.fsub(total, term)
        return total


def _write_into(module: ir.Module, side: int) -> None:
    kernel, reach = _Tiles(module, "into", side), side + 2
    build = kernel.build
    with kernel.loop(kernel.first, kernel.last, 1) as tile:
        image, top, left = kernel.corner(tile)
        pixels = []
        for down in range(reach):
            for across in range(reach):
                row, column = (build.add(a, whole(b - 1)) for a, b in ((top, down), (left, across)))
                at, inside = kernel.pixel(image, row, column)
                pixels.append(build.select(inside, build.gep(kernel.source, [at]), kernel.extra))
        with kernel.loop(whole(0), kernel.channels, LANES) as channel:
            found = kernel.both_axes(TILES[side], [kernel.load(pixel, channel) for pixel in pixels])
            for product, value in enumerate(found):
                kernel.store(value, kernel.target, build.add(kernel.row_of(tile, product, reach**2), channel))
    build.ret_void()


def _write_out(module: ir.Module, side: int) -> None:
    kernel, products = _Tiles(module, "out", side), (side + 2) ** 2
    build = kernel.build
    with kernel.loop(kernel.first, kernel.last, 1) as tile:
        image, top, left = kernel.corner(tile)
        with kernel.loop(whole(0), kernel.channels, LANES) as channel:
            starts = [build.add(kernel.row_of(tile, product, products), channel) for product in range(products)]
            found = kernel.both_axes(PRODUCTS[side], [kernel.load(kernel.source, start) for start in starts])
            bias = kernel.load(kernel.extra, channel)
            for index, value in enumerate(found):
                down, across = divmod(index, side)
                row, column = build.add(top, whole(down)), build.add(left, whole(across))
                at, inside = kernel.pixel(image, row, column)
                with build.if_then(inside):
                    kernel.store(build.fadd(value, bias), kernel.target, build.add(at, channel))
    build.ret_void()
