"""The console's page in a real browser."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from looking import ConsoleProcess, StartMarket, until
from market import HOSTILE, MARKUP

from fireflyzmq import Client
from fireflyzmq.testing import ExchangeProcess

# A page that loses its server says so in its console: that is the browser's own word, and no mistake of the page.
LOST = re.compile(r"Failed to load resource: (net::|the server responded with a status of (401|4|5))")


CONTRAST = """() => {
    const light = (colour) => {
        const [r, g, b] = colour.match(/\\d+/g).map((each) => {
            const part = each / 255;
            return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const probe = document.createElement("i");
    document.body.append(probe);
    const of = (name) => {
        probe.style.color = `var(${name})`;
        return light(getComputedStyle(probe).color);
    };
    const surface = of("--surface");
    return ["--text", "--muted", "--accent", "--warn", "--bad"].map((name) => {
        const both = [of(name), surface].sort();
        return (both[1] + 0.05) / (both[0] + 0.05);
    });
}"""
"""How each colour of text stands out from its ground (WCAG 2.2, 1.4.3)."""


def row(page: Any, name: str) -> Any:
    """The row of a table."""
    return page.locator("tbody tr[data-key]", has=page.locator(f"td:first-child:text-is({quoted(name)})"))


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def open_services(page: Any, console: ConsoleProcess) -> None:
    page.goto(f"{console.url}#services")
    page.wait_for_selector("tbody tr[data-key]")


def call_form(page: Any, name: str) -> Any:
    """The form of a method of the service that is open."""
    details = page.locator("details.method", has=page.locator(f"b:text-is('{name}')"))
    details.locator("summary").click()
    return details.locator("form")


def answer(form: Any) -> str:
    form.locator("pre.answer").wait_for()
    text: str = form.locator("pre.answer").inner_text()
    return text


def connected(page: Any) -> None:
    """Wait until the page has heard of the exchange."""
    page.wait_for_selector("#status:text-is('Connected')")


def focused(page: Any) -> str:
    """What has the focus: a row's key, or what it is called."""
    script = """() => { const e = document.activeElement;
        return e.dataset.key ?? e.getAttribute('aria-label') ?? e.textContent; }"""
    text: str = page.evaluate(script)
    return text


def test_every_view_loads_without_a_word_in_the_browsers_console(
    page: Any, console: ConsoleProcess, start_market: StartMarket
) -> None:
    start_market()
    page.goto(console.url)
    for name in ("Overview", "Services", "Groups", "Peers", "Netports", "Reports", "Failures"):
        page.click(f"nav >> text={name}")
        page.wait_for_selector(f"h1:text-is('{name}')", state="attached")
        connected(page)
        assert page.title() == f"{name} · fireflyzmq"
        assert page.locator("nav a[aria-current=page]").inner_text() == name
    assert page.problems == []


def test_the_overview_shows_what_goes_on(
    page: Any, console: ConsoleProcess, exchange: ExchangeProcess, start_market: StartMarket
) -> None:
    start_market()
    page.goto(console.url)
    with Client(exchange.address) as client:
        market = client.serviceEndPoint("market", wait=10)
        calls = page.locator(".card", has=page.locator("h2:text-is('Calls per second')")).locator(".value")
        end = time.monotonic() + 20
        while not calls.inner_text()[:1].isdigit() or calls.inner_text() == "0":
            assert time.monotonic() < end
            market.place("lamp")
            with contextlib.suppress(Exception):
                market.fail("on the overview")
        page.wait_for_selector(".bars a.name:text-is('market')")
        page.wait_for_selector(".plain li:has-text('on the overview')")
    assert page.problems == []


def test_a_service_appears_and_goes(page: Any, console: ConsoleProcess, start_market: StartMarket) -> None:
    open_services(page, console)
    process = start_market("newcomer")
    row(page, "newcomer").wait_for()
    assert row(page, "newcomer").locator("td").nth(2).inner_text() == "shop"
    row(page, "newcomer").click()
    page.wait_for_selector("aside h2:text-is('newcomer')")
    process.kill()
    row(page, "newcomer").wait_for(state="detached")
    page.wait_for_selector("text=This service is gone")
    assert [problem for problem in page.problems if not LOST.match(problem)] == []


def test_a_method_is_called_from_its_form(page: Any, console: ConsoleProcess, start_market: StartMarket) -> None:
    start_market()
    open_services(page, console)
    row(page, "market").click()
    form = call_form(page, "place")
    fields = form.locator("textarea")
    fields.nth(0).fill("12")  # the annotation says that it is text
    fields.nth(1).fill("3")
    form.locator("text=Call").click()
    assert '"item": "12",\n  "count": 3' in answer(form)
    fields.nth(1).fill("three")
    form.locator("text=Call").click()
    form.locator("small[data-tone=bad]:has-text('no JSON')").wait_for()
    fields.nth(1).fill("")
    fields.nth(2).fill("to the\\door")
    fields.nth(2).press("Enter")
    form.locator("pre.answer:has-text('\"count\": 1')").wait_for()
    assert '"note": "to the\\\\door"' in answer(form)
    assert page.problems == []


def test_arguments_of_all_kinds_travel(page: Any, console: ConsoleProcess, start_market: StartMarket) -> None:
    start_market()
    open_services(page, console)
    row(page, "market").click()
    form = call_form(page, "echo")
    form.locator("textarea").nth(0).fill('[1152921504606846977, "a", {"b": null}]')
    form.locator("textarea").nth(1).fill('{"named": [true]}')
    form.locator("textarea").nth(1).press("Enter")
    text = answer(form)
    assert "1152921504606846977" in text and '"named"' in text and "null" in text


def test_a_failure_is_shown_and_a_call_can_be_cancelled(
    page: Any, console: ConsoleProcess, start_market: StartMarket
) -> None:
    start_market()
    open_services(page, console)
    row(page, "market").click()
    form = call_form(page, "fail")
    form.locator("textarea").fill("on purpose")
    form.locator("textarea").press("Enter")
    assert answer(form).startswith("ApplicationFailure: ValueError: on purpose")
    page.wait_for_selector("aside .plain li:has-text('on purpose')")
    waiting = call_form(page, "wait")
    waiting.locator("text=Call").click()
    waiting.locator("text=Cancel").click()
    assert answer(waiting) == "Cancelled"
    strange = call_form(page, "strange")
    strange.locator("text=Call").click()
    assert re.fullmatch(r"\{1: [01]\}", answer(strange))


def test_it_survives_a_restart_of_the_exchange_and_says_so(
    page: Any, console: ConsoleProcess, exchange: ExchangeProcess, start_market: StartMarket
) -> None:
    start_market()
    open_services(page, console)
    row(page, "market").wait_for()
    exchange.kill()
    page.wait_for_selector("#status:has-text('The exchange is away')")
    exchange.restart()
    page.wait_for_selector("#status:has-text('Connected')")
    start_market("later")
    row(page, "later").wait_for()
    row(page, "market").wait_for()
    assert [problem for problem in page.problems if not LOST.match(problem)] == []


def test_it_survives_a_restart_of_the_console_and_says_so(
    page: Any, exchange: ExchangeProcess, start_market: StartMarket
) -> None:
    start_market()
    with ConsoleProcess(exchange.address) as console:
        listen = urlsplit(console.url).netloc
        page.goto(f"{console.url}#reports")
        page.fill("#publisher", "market")
        page.press("#publisher", "Enter")
        page.wait_for_selector("text=Following")
        console.kill()
        page.wait_for_selector("#status:has-text('The console does not answer')")
        page.wait_for_selector("text=Interrupted")
        with ConsoleProcess(exchange.address, listen=listen):
            page.wait_for_selector("#status:has-text('Connected')")
            page.wait_for_selector("text=Following")
            with Client(exchange.address) as client:
                client.serviceEndPoint("market", wait=10).announce("after", 1)
            page.wait_for_selector(".log li:has-text('after')")
    assert [problem for problem in page.problems if not LOST.match(problem)] == []


def test_it_is_used_from_the_keyboard(page: Any, console: ConsoleProcess, start_market: StartMarket) -> None:
    for name in ("alpha", "beta", "gamma"):
        start_market(name)
    open_services(page, console)
    row(page, "gamma").wait_for()
    page.keyboard.press("/")
    assert focused(page) == "Filter services"
    page.keyboard.type("shop")
    row(page, "exchange").wait_for(state="detached")
    page.keyboard.press("ArrowDown")
    assert focused(page) == "alpha"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert focused(page) == "gamma"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("aside h2:text-is('beta')")
    page.wait_for_selector("details.method")
    assert focused(page) == "beta" and page.url.endswith("#services/beta")
    page.keyboard.press("Tab")
    assert focused(page) == "Close"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("details.method[open]").count() == 1
    page.keyboard.press("Escape")
    page.wait_for_selector("aside", state="hidden")
    assert focused(page) == "beta" and page.locator("tr:focus-visible").count() == 1
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    row(page, "exchange").wait_for()
    assert page.input_value("input[type=search]") == ""
    assert page.problems == []


def test_the_focus_stays_with_its_row_while_others_come_and_go(
    page: Any, console: ConsoleProcess, start_market: StartMarket
) -> None:
    middle = start_market("middle")
    open_services(page, console)
    row(page, "middle").focus()
    other = start_market("early")
    row(page, "early").wait_for()
    assert focused(page) == "middle"
    other.kill()
    row(page, "early").wait_for(state="detached")
    assert focused(page) == "middle"
    neighbours = [row.get_attribute("data-key") for row in page.locator("tbody tr[data-key]").all()]
    middle.kill()
    row(page, "middle").wait_for(state="detached")
    assert focused(page) in neighbours  # the next one


def test_everything_has_a_name_and_tables_say_how_they_are_sorted(
    page: Any, console: ConsoleProcess, start_market: StartMarket
) -> None:
    start_market()
    nameless = """() => [...document.querySelectorAll('input, textarea, button, a, table, aside')].filter(e =>
        e.checkVisibility() && !e.getAttribute('aria-label') && !e.textContent.trim() && !(e.labels && e.labels.length)
    ).map(e => e.outerHTML)"""
    for view in ("overview", "services/market", "groups", "peers", "netports", "reports", "failures"):
        page.goto(f"{console.url}#{view}")
        connected(page)
        assert page.evaluate(nameless) == []
    open_services(page, console)
    head = page.locator("th", has_text="Service")
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    page.locator("th >> text=Calls/s").click()
    assert page.locator("th[aria-sort=descending]").inner_text() == "Calls/s"
    assert page.problems == []


def test_hostile_names_and_texts_are_shown_as_text(
    page: Any, console: ConsoleProcess, exchange: ExchangeProcess, start_market: StartMarket
) -> None:
    start_market(HOSTILE)
    open_services(page, console)
    row(page, HOSTILE).click()
    page.wait_for_selector(f"aside h2:text-is({quoted(HOSTILE)})")
    page.wait_for_selector("details.method")
    form = call_form(page, "place")
    form.locator("textarea").nth(0).fill(MARKUP)
    form.locator("textarea").nth(0).press("Enter")
    assert "<script>" in answer(form) and form.locator(".doc b").count() == 0
    page.goto(f"{console.url}#reports")
    page.fill("#publisher", HOSTILE)
    page.press("#publisher", "Enter")
    page.wait_for_selector("text=Following")
    with Client(exchange.address) as client:
        endpoint = client.serviceEndPoint(HOSTILE)
        endpoint.announce("markup", MARKUP)
        page.wait_for_selector(".log li:has-text('<script>')")
        page.locator(".log summary").first.click()
        page.wait_for_selector(".log pre:has-text('<script>')")
        page.goto(f"{console.url}#failures")
        with contextlib.suppress(Exception):
            endpoint.fail(MARKUP)
        page.wait_for_selector(".log li:has-text('<script>')")
        page.goto(f"{console.url}#overview")
        page.wait_for_selector(".plain li:has-text('<script>')")
    assert page.locator("main img, main script, main b").count() == 0
    assert page.title() == "Overview · fireflyzmq"
    assert page.problems == []


def test_reports_can_be_held_and_are_not_kept_without_end(
    page: Any, console: ConsoleProcess, exchange: ExchangeProcess, start_market: StartMarket
) -> None:
    start_market()
    page.goto(f"{console.url}#reports")
    page.fill("#publisher", "market")
    page.press("#publisher", "Enter")
    page.wait_for_selector("text=Following")
    with Client(exchange.address) as client:
        market = client.serviceEndPoint("market", wait=10)
        market.announce("one", 1)
        page.wait_for_selector(".log li:has-text('one')")
        page.click("text=Pause")
        market.announce("two", 2)
        page.wait_for_selector("text=held: 1 more")
        assert page.locator(".log li:has-text('two')").count() == 0
        page.click("text=Go on")
        page.wait_for_selector(".log li:has-text('two')")
        market.announce("many", "x" * 100, 3000)
        page.wait_for_selector(".log li:has-text('[2999,')")
        assert page.locator(".log li").count() == 500
        page.click("text=Stop")
        market.announce("three", 3)
        page.click("text=Clear")
        assert page.locator(".log li").count() == 0
    assert page.problems == []


def test_a_thousand_services_are_usable(page: Any, console: ConsoleProcess, start_market: StartMarket) -> None:
    start_market(workers=1000)
    began = time.monotonic()
    open_services(page, console)
    first_row = time.monotonic() - began
    page.wait_for_selector("text=/1,00\\d services/")
    assert page.locator("tbody tr[data-key]").count() < 80
    began = time.monotonic()
    page.fill("input[type=search]", "worker-0777")
    page.wait_for_selector("text=/1 of 1,00\\d services/")
    row(page, "worker-0777").wait_for()
    filtered = time.monotonic() - began
    row(page, "worker-0777").locator("td:nth-child(8):text-is('0')").wait_for()  # it was asked: nothing is in flight
    page.fill("input[type=search]", "")
    row(page, "exchange").focus()
    page.keyboard.press("End")
    assert focused(page) == "worker-0999"
    row(page, "worker-0999").locator("td:nth-child(8):text-is('0')").wait_for()
    print(f"first row after {first_row:.2f} s, filtered after {filtered:.2f} s")
    assert first_row < 3 and filtered < 1
    assert page.problems == []


def test_nothing_moves_while_the_page_is_watched(
    page: Any, console: ConsoleProcess, start_market: StartMarket
) -> None:
    start_market()
    script = """() => { window.shift = 0; new PerformanceObserver(list => { for (const each of list.getEntries())
        if (!each.hadRecentInput) window.shift += each.value; }).observe({type: 'layout-shift', buffered: true}); }"""
    for view in ("overview", "services"):
        page.goto("about:blank")
        page.goto(f"{console.url}#{view}")
        page.evaluate(script)
        connected(page)
        page.wait_for_timeout(3000)  # three times it is told what is new
        assert page.evaluate("window.shift") < 0.01, view


def test_netport_sessions_and_groups_and_peers_are_listed(
    page: Any, console: ConsoleProcess, start_market: StartMarket
) -> None:
    door = int(start_market().lines[-1].split()[1])
    with socket.create_connection(("127.0.0.1", door)) as client:
        page.goto(f"{console.url}#netports")
        page.wait_for_selector(f"td:text-is('127.0.0.1:{client.getsockname()[1]}')")
        page.fill("input[aria-label^=Only]", "nobody")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=No client is connected.")
    page.goto(f"{console.url}#groups")
    row(page, "shop").wait_for()
    page.goto(f"{console.url}#peers")
    page.wait_for_selector("tbody tr[data-key]:has-text('market.py')")
    assert page.problems == []


def test_a_token_is_taken_from_the_address_and_kept_for_the_tab(
    page: Any, exchange: ExchangeProcess, start_market: StartMarket
) -> None:
    start_market()
    with ConsoleProcess(exchange.address, "--token", "s3cret") as console:
        page.goto(f"{console.url}#token=s3cret")
        connected(page)
        assert "s3cret" not in page.url
        page.goto(f"{console.url}#services")
        page.reload()
        row(page, "market").wait_for()
        assert page.problems == []


def test_a_token_may_be_put_into_the_address_of_an_open_tab(page: Any, exchange: ExchangeProcess) -> None:
    with ConsoleProcess(exchange.address, "--token", "100%") as console:
        page.goto(console.url)
        page.wait_for_selector("#secret")
        page.goto(f"{console.url}#token=100%")  # not as addresses are written, but as people do
        connected(page)
        assert "token" not in page.url
        page.evaluate("location.hash = '#token=100%25'")
        page.wait_for_function("!location.hash.includes('token')")
        page.reload()
        connected(page)
        assert [problem for problem in page.problems if not LOST.match(problem)] == []


def test_reports_that_were_lost_are_shown_though_nobody_knows_how_many(page: Any, console: ConsoleProcess) -> None:
    reports = [
        {"publisher": "a", "subject": f"s{n}", "lost": lost, "content": n} for n, lost in enumerate((0, None, 2))
    ]
    body = "".join(f"event: report\ndata: {json.dumps(report)}\n\n" for report in reports)
    page.route("**/api/reports?*", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    page.goto(f"{console.url}#reports")
    page.fill("#publisher", "a")
    page.press("#publisher", "Enter")
    page.wait_for_selector(".log li:has-text('s1') .kind:text-is('some lost')")
    page.wait_for_selector(".log li:has-text('s2') .kind:text-is('2 lost')")
    assert page.locator(".log li:has-text('s0') .kind").count() == 0
    assert page.problems == []


def test_without_a_token_it_asks_for_one(page: Any, exchange: ExchangeProcess, start_market: StartMarket) -> None:
    start_market()
    with ConsoleProcess(exchange.address, "--token", "s3cret") as console:
        page.goto(console.url)
        page.fill("#secret", "wrong")
        page.press("#secret", "Enter")
        page.wait_for_selector("#secret:focus:invalid")
        page.click("nav >> text=Failures")
        page.fill("#secret", "s3cret")
        page.press("#secret", "Enter")
        connected(page)
        with Client(exchange.address) as client, contextlib.suppress(Exception):
            client.serviceEndPoint("market", wait=10).fail("after it")
        page.wait_for_selector(".log li:has-text('after it')")
        assert [problem for problem in page.problems if not LOST.match(problem)] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_light_or_dark_as_the_system_is(browser: Any, console: ConsoleProcess, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(console.url)
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(shade) / 3 > 128) == (scheme == "light")
    assert min(page.evaluate(CONTRAST)) >= 4.5
    context.close()


def test_a_narrow_screen_is_enough(page: Any, console: ConsoleProcess, start_market: StartMarket) -> None:
    start_market()
    page.set_viewport_size({"width": 400, "height": 700})
    for view in ("overview", "services", "services/market", "reports"):
        page.goto(f"{console.url}#{view}")
        connected(page)
        widths = "[...document.querySelectorAll('body, main, main > *, .cards, aside')].map(e => e.scrollWidth)"
        assert max(page.evaluate(widths)) <= 400, view


def test_a_hidden_page_asks_for_nothing(page: Any, console: ConsoleProcess) -> None:
    page.goto(console.url)
    connected(page)
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    page.evaluate(hide % "true")
    asked: list[str] = []
    page.wait_for_timeout(1500)
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert asked == []
    page.evaluate(hide % "false" + "document.dispatchEvent(new Event('visibilitychange'));")
    page.wait_for_event("request")
    until(lambda: page.wait_for_timeout(100) or asked)


def test_the_console_ends_at_once_though_a_page_follows(page: Any, exchange: ExchangeProcess) -> None:
    with ConsoleProcess(exchange.address) as console:
        page.goto(f"{console.url}#failures")
        connected(page)
        began = time.monotonic()
        console.send_signal(signal.SIGTERM)
        assert console.wait() == 0 and time.monotonic() - began < 5
