"""Machine code for the processor at hand: inner loops that would be many passes over memory in torch."""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from torch import Tensor

LANES = 16
"""Numbers that one instruction works on; what a loop runs over is a multiple of them."""

INT = ir.IntType(64)
FLOAT = ir.FloatType()
VECTOR = ir.VectorType(FLOAT, LANES)
_POINTER = ir.PointerType(FLOAT)
_LANE = ir.IntType(32)


def whole(number: int) -> ir.Constant:
    """Return a whole number that is known while compiling."""
    return ir.Constant(INT, number)


def _lane(place: int) -> ir.Constant:
    return ir.Constant(_LANE, place)


def number(value: float) -> ir.Constant:
    """Return a number that is known while compiling."""
    return ir.Constant(FLOAT, value)


def vector(value: float) -> ir.Constant:
    """Return a vector that repeats a number."""
    return ir.Constant(VECTOR, [value] * LANES)


class Kernel:
    """A function in the making: tensors of float32 first, whole numbers after them, nothing returned.

    Attributes:
        build: adds instructions at the end.
        tensors, numbers: the arguments. No two tensors share memory.
    """

    def __init__(self, module: ir.Module, name: str, tensors: int, numbers: int) -> None:
        kind = ir.FunctionType(ir.VoidType(), [_POINTER] * tensors + [INT] * numbers)
        function = ir.Function(module, kind, name)
        self.tensors, self.numbers = function.args[:tensors], function.args[tensors:]
        for tensor in self.tensors:
            tensor.add_attribute("noalias")
        self.build = ir.IRBuilder(function.append_basic_block())

    @contextmanager
    def loop(self, first: ir.Value, last: ir.Value, step: int) -> Iterator[ir.Value]:
        """Repeat what is built inside for every index of a range."""
        build, before = self.build, self.build.block
        head, body, end = (build.append_basic_block() for _ in range(3))
        build.branch(head)
        build.position_at_end(head)
        index = build.phi(INT)
        index.add_incoming(first, before)
        build.cbranch(build.icmp_signed("<", index, last), body, end)
        build.position_at_end(body)
        yield index
        index.add_incoming(build.add(index, whole(step)), build.block)
        build.branch(head)
        build.position_at_end(end)

    def repeat(self, times: int, turn: Callable[[], ir.Value]) -> None:
        """Repeat what ``turn`` builds while the flag that it returns is set, at most so many times."""
        build, before = self.build, self.build.block
        again, end = build.append_basic_block(), build.append_basic_block()
        build.branch(again)
        build.position_at_end(again)
        left = build.phi(INT)
        left.add_incoming(whole(times), before)
        going, rest = turn(), build.sub(left, whole(1))
        left.add_incoming(rest, build.block)
        build.cbranch(build.and_(going, build.icmp_signed(">", rest, whole(0))), again, end)
        build.position_at_end(end)

    def load(self, base: ir.Value, at: ir.Value) -> ir.Value:
        """Read the vector that begins at a number of a tensor."""
        found = self.build.load(self._address(base, at), typ=VECTOR)
        found.align = 4
        return found

    def store(self, value: ir.Value, base: ir.Value, at: ir.Value) -> None:
        """Write a vector."""
        self.build.store(value, self._address(base, at)).align = 4

    def spread(self, value: ir.Value) -> ir.Value:
        """Repeat a number in a vector."""
        first = self.build.insert_element(ir.Constant(VECTOR, ir.Undefined), value, _lane(0))
        return self.build.shuffle_vector(first, first, ir.Constant(ir.VectorType(_LANE, LANES), [0] * LANES))

    def size(self, value: ir.Value) -> ir.Value:
        """Return numbers without their signs."""
        return self.most(self.build.fneg(value), value)

    def most(self, one: ir.Value, other: ir.Value) -> ir.Value:
        """Return the larger of two numbers; the second where there is no order."""
        return self.build.select(self.build.fcmp_ordered(">", one, other), one, other)

    def least(self, one: ir.Value, other: ir.Value) -> ir.Value:
        """Return the smaller of two numbers; the second where there is no order."""
        return self.build.select(self.build.fcmp_ordered("<", one, other), one, other)

    def fold(self, value: ir.Value, join: Callable[[ir.Value, ir.Value], ir.Value]) -> ir.Value:
        """Join the numbers of a vector into one, half with half."""
        build, half = self.build, LANES // 2
        while half:
            places = ir.Constant(ir.VectorType(_LANE, LANES), [(lane + half) % LANES for lane in range(LANES)])
            value = join(value, build.shuffle_vector(value, value, places))
            half //= 2
        return build.extract_element(value, _lane(0))

    def _address(self, base: ir.Value, at: ir.Value) -> ir.Value:
        return self.build.bitcast(self.build.gep(base, [at]), VECTOR.as_pointer())


class Code:
    """Compiled functions. Calls hold no lock of the interpreter."""

    def __init__(self, module: ir.Module) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        parsed = llvm.parse_assembly(str(module))
        features = llvm.get_host_cpu_features()
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=3
        )
        passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
        passes.getModulePassManager().run(parsed, passes)
        self._engine = llvm.create_mcjit_compiler(parsed, machine)  # owns the code
        self._engine.finalize_object()
        self._functions = {
            function.name: ctypes.CFUNCTYPE(None, *map(_argument, function.args))(
                self._engine.get_function_address(function.name)
            )
            for function in module.functions
            if function.blocks
        }

    def __call__(self, name: str, tensors: Sequence[Tensor], *numbers: int) -> None:
        """Run a function.

        Raises:
            ValueError: for a tensor whose numbers do not lie in order.
        """
        if not all(tensor.is_contiguous() for tensor in tensors):
            raise ValueError("machine code reads memory in order; a tensor is not contiguous.")
        self._functions[name](*(tensor.data_ptr() for tensor in tensors), *numbers)


def _argument(argument: Any) -> type[Any]:
    return ctypes.c_void_p if argument.type.is_pointer else ctypes.c_int64
