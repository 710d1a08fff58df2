"""Whether a callback takes what it will be called with: as Python itself decides it, for whatever can be called."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.conventions.callbacks import Hook, check_callback, check_hooks, hook, positional_only, takes

SHAPE = ("binding", "status")


@st.composite
def functions(draw: st.DrawFn) -> Callable[..., Any]:
    """A function with whatever parameters there can be, bound to an object or not."""
    plain, defaulted = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    parameters = [f"p{n}" for n in range(plain)] + [f"d{n}=0" for n in range(defaulted)]
    if len(parameters) > 0 and draw(st.booleans()):
        parameters.insert(draw(st.integers(1, len(parameters))), "/")
    star = draw(st.sampled_from(["", "*", "*rest"]))
    keywords = [f"k{n}" for n in range(draw(st.integers(0, 2)))] + [f"o{n}=0" for n in range(draw(st.integers(0, 2)))]
    if star == "*" and not keywords:
        star = ""
    if star:
        parameters.append(star)
        parameters += keywords
    if draw(st.booleans()):
        parameters.append("**others")
    names: dict[str, Any] = {}
    exec(f"def function({', '.join(parameters)}): return 1", names)
    function: Callable[..., Any] = names["function"]
    return function.__get__(object()) if draw(st.booleans()) else function


@given(functions(), st.integers(0, 6))
def test_a_function_takes_what_calling_it_shows(function: Callable[..., Any], count: int) -> None:
    try:
        called = function(*range(count)) == 1
    except TypeError:
        called = False
    assert takes(function, count) == called


class Callable2:
    def __call__(self, binding: Any, status: Any) -> None: ...

    def method(self, binding: Any, status: Any) -> None: ...

    @classmethod
    def of_class(cls, binding: Any, status: Any) -> None: ...

    @staticmethod
    def static(binding: Any, status: Any) -> None: ...

    def three(self, binding: Any, group: Any, status: Any) -> None: ...


class Odd:
    """What can be called and answers oddly when it is asked for its signature."""

    @property
    def __signature__(self) -> Any:
        raise OSError("no")

    def __call__(self, *args: Any) -> None: ...


async def coroutine(binding: Any, status: Any) -> None: ...


def adapting(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*args: Any) -> Any:
        return function(args[0])

    return inner


TAKEN = [
    lambda binding, status: None,
    lambda *event: None,
    lambda binding, status=None, group=None: None,
    lambda binding, *rest, loud=False, **options: None,
    Callable2(),
    Callable2().method,
    Callable2.of_class,
    Callable2.static,
    functools.partial(Callable2().three, None),
    functools.partial(lambda loud, binding, status: None, 1),
    coroutine,
    mock.Mock(),
    mock.MagicMock(),
    mock.AsyncMock(),
    mock.create_autospec(coroutine),
    print,
    max,
    {}.update,
    Odd(),
    dict,
    adapting(lambda binding: None),
]
REFUSED = [
    lambda: None,
    lambda binding: None,
    lambda binding, group, status: None,
    lambda binding, status, *, loud: None,
    Callable2().three,
    functools.partial(lambda binding, status: None, 1),
    functools.partial(Callable2().method, 1, 2),
    mock.create_autospec(lambda binding: None),
    [].append,
    Callable2,
    coroutine(1, 2),
    "callback",
    5,
    object(),
]


@pytest.mark.parametrize("callback", TAKEN, ids=lambda each: type(each).__name__)
def test_what_can_be_called_so_or_has_no_signature_passes(callback: Any) -> None:
    assert check_callback(callback, "a presence callback", SHAPE) == 2


@pytest.mark.parametrize("callback", REFUSED, ids=lambda each: type(each).__name__)
def test_what_cannot_is_told_the_shape_that_is_wanted(callback: Any) -> None:
    with pytest.raises(TypeError, match=r"^a presence callback takes \(binding, status\); ") as caught:
        check_callback(callback, "a presence callback", SHAPE)
    assert len(str(caught.value)) < 400
    if inspect.iscoroutine(callback):
        callback.close()


def test_the_first_shape_that_fits_counts() -> None:
    for callback, count in ((lambda: None, 0), (lambda *args: None, 1), (lambda a=0: None, 1), (print, 1)):
        assert check_callback(callback, "a callback", ("result",), ()) == count
    with pytest.raises(TypeError, match=r"a callback takes \(result\) or \(\); .*<lambda>\(a, b\) does not"):
        check_callback(lambda a, b: None, "a callback", ("result",), ())


def test_of_a_decorated_function_the_wrapped_signature_counts_first() -> None:
    def plain() -> None: ...

    @functools.wraps(plain)
    def wrapper(*args: Any) -> None:
        plain(*args)

    assert check_callback(wrapper, "a callback", ("result",), ()) == 0


def test_a_message_asks_no_value_of_the_users_for_its_text() -> None:
    class Silent:
        def __repr__(self) -> str:
            raise OSError("no text")

    def callback(a: Any = Silent(), *, b: Any) -> None: ...  # noqa: B008

    for each in (callback, Silent(), functools.partial(callback, Silent())):
        with pytest.raises(TypeError, match="a callback takes"):
            check_callback(each, "a callback", ("result",))


class Owner:
    @hook
    def doSomething(self, name: str, binding: Any) -> str:
        """Do it."""
        return "plain"


def test_a_hook_is_a_method_that_may_be_assigned_and_taken_back() -> None:
    owner = Owner()
    assert owner.doSomething("a", 1) == "plain" and Owner.doSomething(owner, "a", 1) == "plain"
    assert inspect.signature(owner.doSomething).parameters.keys() == {"name", "binding"}
    assert Owner.doSomething.__doc__ == "Do it."
    owner.doSomething = lambda name, binding: "mine"  # type: ignore[method-assign]
    assert owner.doSomething("a", 1) == "mine" and Owner().doSomething("a", 1) == "plain"
    del owner.doSomething
    assert owner.doSomething("a", 1) == "plain"
    with pytest.raises(AttributeError):
        del owner.doSomething
    with mock.patch.object(owner, "doSomething", return_value="patched"):
        assert owner.doSomething("a", 1) == "patched"
    assert owner.doSomething("a", 1) == "plain"
    with pytest.raises(TypeError, match=r"doSomething takes \(name, binding\)"):
        owner.doSomething = lambda name: None  # type: ignore[method-assign, assignment, misc]


def test_a_class_that_overrides_a_hook_is_checked() -> None:
    for right in (lambda self, name, binding: 1, lambda *args: 1, staticmethod(lambda name, binding: 1), mock.Mock()):
        check_hooks(type("Right", (Owner,), {"doSomething": right}))
    for wrong in (lambda self, name: 1, lambda name, binding: 1, staticmethod(lambda name: 1)):
        with pytest.raises(TypeError, match=r"Wrong.doSomething takes \(.*name, binding\)"):
            check_hooks(type("Wrong", (Owner,), {"doSomething": wrong}))
    assert isinstance(vars(Owner)["doSomething"], Hook)


def test_a_method_made_positional_only_takes_keywords_of_any_name() -> None:
    class Proxy(Owner):
        def answer(self, name: str, params: Any = (), *, loud: bool = False, **keywords: Any) -> Any:
            return name, params, loud, keywords, super().doSomething("", 0), type(self).__name__

    answer = positional_only(Proxy().answer)
    got = answer("a", (1,), loud=True, self=1, name=2, params=3)
    assert got == ("a", (1,), True, {"self": 1, "name": 2, "params": 3}, "plain", "Proxy")
    assert positional_only(print) is print
