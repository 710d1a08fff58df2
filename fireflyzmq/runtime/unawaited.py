"""Unawaited: a base for what stands for a value that is still to come. Whoever uses it as that is told to await it.

Its number, hash and equality are no use of the value. It knows nothing of calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn, Self

_ORDER: Final = ("lt", "le", "gt", "ge")
_TWO: Final = (
    *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow"),
    *("lshift", "rshift", "and", "or", "xor"),
)
_ONE: Final = (
    *("neg", "pos", "abs", "invert", "round", "trunc", "floor", "ceil"),
    *("bool", "float", "complex", "index", "len", "getitem"),
)


def _refuse(value: object, *_: object) -> NoReturn:
    raise TypeError(f"{value!r} stands for a result that is still to come: await it (in another thread: wait())")


class Unawaited:
    """Refuses arithmetic, order, truth, indexing and formats of numbers, with a TypeError that says to await it.

    Type checkers see none of this: for them it has no such methods at all. A copy of it is itself.
    """

    def __format__(self, spec: str) -> str:
        if spec:
            _refuse(self)
        return str(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    if not TYPE_CHECKING:
        __reduce_ex__ = _refuse


for _name in (*_ORDER, *_TWO, *(f"r{_name}" for _name in _TWO), *_ONE):
    setattr(Unawaited, f"__{_name}__", _refuse)
