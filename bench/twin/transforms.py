"""Winograd's transforms of tiles, as machine code for the processor at hand.

In torch every sum of a transform is a pass over memory, which costs more than the multiplications that a tile saves.
Here a tile is read once, transformed in registers and written once.

Source: Lavin & Gray 2015, arXiv:1509.09308: F(4x4, 3x3) and F(2x2, 3x3).
"""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import cache

import llvmlite.binding as llvm
from jaxtyping import Float
from llvmlite import ir
from torch import Tensor

LANES = 16
"""Channels that one instruction works on; a layer has a multiple of them."""

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

_INT = ir.IntType(64)
_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_POINTER = ir.PointerType(_FLOAT)
_ONE, _STRIDE = ir.Constant(_INT, 1), ir.Constant(_INT, LANES)


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

    Tiles are numbered across, down and from image to image. Calls hold no lock of the interpreter.
    """

    def __init__(self, side: int) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        module = ir.Module()
        _write_into(module, side)
        _write_out(module, side)
        self._engine = _compile(str(module))  # owns the code that the two functions below run
        signature = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 7)
        self._into = signature(self._engine.get_function_address("into"))
        self._out = signature(self._engine.get_function_address("out"))

    def into(
        self,
        images: Float[Tensor, "batch height width channels"],
        border: Float[Tensor, " channels"],
        tiles: Float[Tensor, "count products channels"],
        part: range,
        grid: Grid,
    ) -> None:
        """Transform the tiles of ``part``; pixels beyond an image read ``border``, which is zero."""
        self._into(*_addresses(images, border, tiles), part.start, part.stop, *astuple(grid))

    def out(
        self,
        products: Float[Tensor, "count products channels"],
        bias: Float[Tensor, " channels"],
        images: Float[Tensor, "batch height width channels"],
        part: range,
        grid: Grid,
    ) -> None:
        """Transform the products of the tiles of ``part`` back, add ``bias`` and write them into ``images``."""
        self._out(*_addresses(products, bias, images), part.start, part.stop, *astuple(grid))


transforms = cache(Transforms)


def _addresses(*tensors: Tensor) -> tuple[int, ...]:
    if not all(tensor.is_contiguous() for tensor in tensors):
        raise ValueError("machine code reads memory in order; a tensor is not contiguous.")
    return tuple(tensor.data_ptr() for tensor in tensors)


def _compile(assembly: str) -> llvm.ExecutionEngine:
    parsed = llvm.parse_assembly(assembly)
    features = llvm.get_host_cpu_features()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=3
    )
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    passes.getModulePassManager().run(parsed, passes)
    engine = llvm.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    return engine


class _Kernel:
    """A function in the making: its arguments, and the steps that both transforms share."""

    def __init__(self, module: ir.Module, name: str, side: int) -> None:
        kind = ir.FunctionType(ir.VoidType(), [_POINTER] * 3 + [_INT] * 7)
        function = ir.Function(module, kind, name)
        for pointer in function.args[:3]:
            pointer.add_attribute("noalias")
        self.source, self.extra, self.target = function.args[:3]
        self.first, self.last, self.height, self.width, self.channels, self.down, self.across = function.args[3:]
        self.side = ir.Constant(_INT, side)
        self.build = ir.IRBuilder(function.append_basic_block())

    @contextmanager
    def loop(self, first: ir.Value, last: ir.Value, step: ir.Value) -> Iterator[ir.Value]:
        build, before = self.build, self.build.block
        head, body, end = (build.append_basic_block() for _ in range(3))
        build.branch(head)
        build.position_at_end(head)
        index = build.phi(_INT)
        index.add_incoming(first, before)
        build.cbranch(build.icmp_signed("<", index, last), body, end)
        build.position_at_end(body)
        yield index
        index.add_incoming(build.add(index, step), build.block)
        build.branch(head)
        build.position_at_end(end)

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
        at = build.mul(build.sub(tile, self.first), ir.Constant(_INT, products))
        return build.mul(build.add(at, ir.Constant(_INT, product)), self.channels)

    def load(self, base: ir.Value, at: ir.Value) -> ir.Value:
        found = self.build.load(self._address(base, at), typ=_VECTOR)
        found.align = 4
        return found

    def store(self, value: ir.Value, base: ir.Value, at: ir.Value) -> None:
        self.build.store(value, self._address(base, at)).align = 4

    def _address(self, base: ir.Value, at: ir.Value) -> ir.Value:
        return self.build.bitcast(self.build.gep(base, [at]), _VECTOR.as_pointer())

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
        for factor, vector in sorted(zip(row, vectors, strict=True), key=lambda term: -term[0]):
            if factor == 0:
                continue
            size = ir.Constant(_VECTOR, [abs(float(factor))] * LANES)
            term = vector if abs(factor) == 1 else self.build.fmul(vector, size)
            if total is None:
                total = term if factor > 0 else self.build.fneg(term)
            else:
                total = self.build.fadd(total, term) if factor > 0 else self.build.fsub(total, term)
        return total


def _write_into(module: ir.Module, side: int) -> None:
    kernel, reach = _Kernel(module, "into", side), side + 2
    build = kernel.build
    with kernel.loop(kernel.first, kernel.last, _ONE) as tile:
        image, top, left = kernel.corner(tile)
        pixels = []
        for down in range(reach):
            for across in range(reach):
                row, column = (build.add(a, ir.Constant(_INT, b - 1)) for a, b in ((top, down), (left, across)))
                at, inside = kernel.pixel(image, row, column)
                pixels.append(build.select(inside, build.gep(kernel.source, [at]), kernel.extra))
        with kernel.loop(ir.Constant(_INT, 0), kernel.channels, _STRIDE) as channel:
            found = kernel.both_axes(TILES[side], [kernel.load(pixel, channel) for pixel in pixels])
            for product, value in enumerate(found):
                kernel.store(value, kernel.target, build.add(kernel.row_of(tile, product, reach**2), channel))
    build.ret_void()


def _write_out(module: ir.Module, side: int) -> None:
    kernel, products = _Kernel(module, "out", side), (side + 2) ** 2
    build = kernel.build
    with kernel.loop(kernel.first, kernel.last, _ONE) as tile:
        image, top, left = kernel.corner(tile)
        with kernel.loop(ir.Constant(_INT, 0), kernel.channels, _STRIDE) as channel:
            starts = [build.add(kernel.row_of(tile, product, products), channel) for product in range(products)]
            found = kernel.both_axes(PRODUCTS[side], [kernel.load(kernel.source, start) for start in starts])
            bias = kernel.load(kernel.extra, channel)
            for index, value in enumerate(found):
                down, across = divmod(index, side)
                row, column = build.add(top, ir.Constant(_INT, down)), build.add(left, ir.Constant(_INT, across))
                at, inside = kernel.pixel(image, row, column)
                with build.if_then(inside):
                    kernel.store(build.fadd(value, bias), kernel.target, build.add(at, channel))
    build.ret_void()
