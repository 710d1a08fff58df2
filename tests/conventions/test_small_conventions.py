"""Small things that are done the same way everywhere: extras that are missing, objects behind others, safe logging."""

from __future__ import annotations

import logging

import pytest

from fireflyzmq.conventions.behind import NAME, NotBegun, behind, put_behind
from fireflyzmq.conventions.extras import needed_for
from fireflyzmq.conventions.safe_log import log


@pytest.mark.parametrize(
    ("module", "extra"), [("aiohttp", "http"), ("aiohttp.web", "http"), ("prometheus_client", "metrics")]
)
def test_a_missing_package_that_an_extra_brings_is_told_with_that_extra(module: str, extra: str) -> None:
    hint = rf"a thing needs \w+, .*'fireflyzmq\[{extra}"
    with pytest.raises(ModuleNotFoundError, match=hint) as told, needed_for("a thing"):
        raise ModuleNotFoundError(name=module)
    assert told.value.name == module


def test_a_missing_package_that_no_extra_brings_is_told_as_it_is() -> None:
    error = ModuleNotFoundError(name="elsewhere")
    with pytest.raises(ModuleNotFoundError) as told, needed_for("a thing"):
        raise error
    assert told.value is error


class Shown:
    """A public object, which takes no assignments."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


setattr(Shown, NAME, NotBegun("Shown"))


def test_what_stands_behind_an_object_is_found_once_it_was_put_there() -> None:
    shown = Shown()
    with pytest.raises(RuntimeError, match=r"call Shown\.__init__ first"):
        behind(shown)
    put_behind(shown, "core")
    assert behind(shown) == "core" and isinstance(behind(Shown), NotBegun)
    with pytest.raises(AttributeError):
        behind(object())


class Broken(logging.Handler):
    """A handler that raises, as some do."""

    def emit(self, record: logging.LogRecord) -> None:
        raise OSError("the disk is full")


def test_a_broken_handler_is_not_in_the_way_of_what_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    logger, handler = logging.getLogger("tests.broken"), Broken()
    logger.addHandler(handler)
    try:
        log(logger, logging.ERROR, "%s", "first")
    finally:
        logger.removeHandler(handler)
    log(logger, logging.ERROR, "%s", "second")
    assert caplog.messages[-1] == "second"
    assert caplog.records[-1].funcName == "test_a_broken_handler_is_not_in_the_way_of_what_is_logged"
