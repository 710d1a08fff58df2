"""Fixtures of the console's tests: an exchange, a console, services, and a browser."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from fireflyzmq.testing import ExchangeProcess, PythonProcess
from tests.gateways.console.looking import MARKET, ConsoleProcess, StartMarket, Web
from tests.machine import chromium


@pytest.fixture
def exchange() -> Iterator[ExchangeProcess]:
    """An exchange in a process of its own."""
    with ExchangeProcess() as process:
        yield process


@pytest.fixture
def console(exchange: ExchangeProcess) -> Iterator[ConsoleProcess]:
    """A console of it."""
    with ConsoleProcess(exchange.address) as process:
        yield process


@pytest.fixture
def web(console: ConsoleProcess) -> Web:
    """An HTTP client for the console."""
    return Web(console.url)


@pytest.fixture
def start_market(exchange: ExchangeProcess) -> Iterator[StartMarket]:
    """Start services: `start_market(name, workers)`."""
    with contextlib.ExitStack() as stack:

        def start(name: str = "market", workers: int = 0) -> PythonProcess:
            process = stack.enter_context(PythonProcess([str(MARKET), name, str(workers)], exchange.environment))
            process.wait_for_line("ready")
            return process

        yield start


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's chromium, driven by Playwright, whose event loop runs in this thread for as long: no other may."""
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of its own, in which nothing may go wrong: `page.problems` are what its console says."""
    context = browser.new_context(viewport={"width": 1360, "height": 860})
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    yield page
    context.close()
