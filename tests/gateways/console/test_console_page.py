"""The console's page in a real browser."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from fireflyzmq import Client
from fireflyzmq.testing import ExchangeProcess
from tests.gateways.console.looking import ConsoleProcess, StartMarket
from tests.gateways.console.market import HOSTILE, MARKUP
from tests.waiting import wait_until

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

        def shown() -> bool:
            market.place("lamp")
            with contextlib.suppress(Exception):
                market.fail("on the overview")
            said: str = calls.inner_text()
            return said[:1].isdigit() and said != "0"

        wait_until(shown)
        page.wait_for_selector(".bars a.name:text-is('market')")
        page.wait_for_selector(".failures li:has-text('on the overview')")
    assert page.problems == []


def test_a_service_appears_and_goes(page: Any, console: ConsoleProcess, start_market: StartMarket) -> None:
    open_services(page, console)
    process = start_market("newcomer")
    row(page, "newcomer").wait_for()
    assert row(page, "newcomer").locator("td").nth(7).inner_text() == "shop"
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
    page.wait_for_selector("aside .failures li:has-text('on purpose')")
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
        page.locator(".failures summary:has-text('<script>')").click()
        page.wait_for_selector(".failures pre:has-text('<script>')")
        page.goto(f"{console.url}#overview")
        page.wait_for_selector(".failures li:has-text('<script>')")
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
    row(page, "worker-0777").locator("td:nth-child(6):text-is('0')").wait_for()  # it was asked: nothing is in flight
    page.fill("input[type=search]", "")
    row(page, "exchange").focus()
    page.keyboard.press("End")
    assert focused(page) == "worker-0999"
    row(page, "worker-0999").locator("td:nth-child(6):text-is('0')").wait_for()
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


def test_a_stream_that_is_refused_for_a_moment_is_opened_again(page: Any, console: ConsoleProcess) -> None:
    statuses = [429, 503]
    body = f"event: report\ndata: {json.dumps({'publisher': 'a', 'subject': 's0', 'lost': 0, 'content': 0})}\n\n"

    def answer(route: Any) -> None:
        if statuses:
            route.fulfill(status=statuses.pop(0), body="too many")
        else:
            route.fulfill(body=body, content_type="text/event-stream")

    page.route("**/api/reports?*", answer)
    page.goto(f"{console.url}#reports")
    page.fill("#publisher", "a")
    page.press("#publisher", "Enter")
    page.wait_for_selector(".log li:has-text('s0')")
    assert statuses == []


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
        page.wait_for_selector(".failures li:has-text('after it')")
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


@pytest.mark.parametrize("width", [320, 390, 600, 720])
def test_on_a_telephone_all_tabs_are_there_and_no_number_is_cut(
    page: Any, console: ConsoleProcess, exchange: ExchangeProcess, start_market: StartMarket, width: int
) -> None:
    start_market()
    page.set_viewport_size({"width": width, "height": 700})
    outside = f"""() => [...document.querySelectorAll('nav a')].filter(each => {{
        const {{left, right, top, bottom}} = each.getBoundingClientRect();
        return left < 0 || right > {width} || top < 0 || bottom > 120 || each.scrollWidth > each.clientWidth;
    }}).map(each => each.textContent)"""
    cut = """() => [...document.querySelectorAll('th, .number, .figures dd')].filter(each =>
        each.checkVisibility() && each.scrollWidth > each.clientWidth).map(each => each.textContent)"""
    with Client(exchange.address) as client:
        client.serviceEndPoint("market", wait=10).place("lamp")
        for view in ("overview", "services/market", "services", "groups", "peers", "netports", "reports", "failures"):
            page.goto(f"{console.url}#{view}")
            connected(page)
            assert page.locator("nav a[aria-current=page]").inner_text().lower() == view.partition("/")[0]
            assert page.evaluate(outside) == [], view
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(cut) == [], view
        page.goto(f"{console.url}#services")
        row(page, "market").locator("td").nth(3).filter(has_text="s").wait_for()  # its median, after one call
        seen = page.evaluate(
            "[...document.querySelectorAll('th')].filter(e => e.checkVisibility()).map(e => e.innerText)"
        )
        assert seen == ["Service", "Calls/s", "Errors", "Median"]
        bounds = page.locator("th:visible").last.bounding_box()
        assert bounds["x"] + bounds["width"] <= width
    assert page.problems == []


def test_the_current_tab_is_scrolled_to_where_there_is_no_room_for_all(page: Any, console: ConsoleProcess) -> None:
    page.goto(f"{console.url}#failures")
    page.evaluate("document.querySelector('nav').style.cssText = 'width: 200px; flex: none'")
    for name in ("overview", "failures", "services"):
        page.goto(f"{console.url}#{name}")
        connected(page)
        inside = """() => {
            const nav = document.querySelector('nav').getBoundingClientRect();
            const tab = document.querySelector('nav a[aria-current]').getBoundingClientRect();
            return tab.left >= nav.left - 1 && tab.right <= nav.right + 1;
        }"""
        assert page.evaluate(inside), name


def failure_row(page: Any, text: str) -> Any:
    """The row of a failure, in whatever list of them is shown."""
    return page.locator(".failures li", has_text=text)


def test_equal_failures_are_one_row_with_their_number(
    page: Any, console: ConsoleProcess, exchange: ExchangeProcess, start_market: StartMarket
) -> None:
    start_market()
    page.goto(f"{console.url}#failures")
    connected(page)
    with Client(exchange.address) as client:
        market = client.serviceEndPoint("market", wait=10)
        with contextlib.suppress(Exception):
            market.fail("rare")
        for _ in range(30):
            with contextlib.suppress(Exception):
                market.fail("often")
        failure_row(page, "rare").wait_for()
        failure_row(page, "often").locator(".times", has_text="30").wait_for()
        assert page.locator(".failures li").count() == 2
        assert failure_row(page, "rare").locator(".times").is_hidden()
        assert page.locator(".counted").inner_text() == "31 failures of 2 kinds"
        # An open row stays open, and in its place, while others come and it goes on.
        failure_row(page, "rare").locator("summary").click()
        with contextlib.suppress(Exception):
            market.fail("often")
        failure_row(page, "often").locator(".times", has_text="31").wait_for()
        with contextlib.suppress(Exception):
            market.fail("rare")
        failure_row(page, "rare").locator(".times", has_text="2").wait_for()
        assert failure_row(page, "rare").locator("details[open] dd:text-is('2')").is_visible()
        page.click("text=Pause")
        with contextlib.suppress(Exception):
            market.fail("rare")
        page.wait_for_selector(".counted:has-text('held: 1 change')")
        assert failure_row(page, "rare").locator(".times").inner_text().split()[1] == "2"
        page.click("text=Go on")
        failure_row(page, "rare").locator(".times", has_text="3").wait_for()
        page.fill("input[type=search]", "rare")
        assert page.locator(".failures li").count() == 1
        page.fill("input[type=search]", "")
        page.click("text=Clear")
        page.wait_for_selector("text=Nothing has failed lately.")
    assert page.problems == []


def by_mouse(page: Any, summary: Any) -> None:
    summary.click()


def by_touch(page: Any, summary: Any) -> None:
    summary.tap()


def by_keyboard(page: Any, summary: Any) -> None:
    summary.focus()
    page.keyboard.press("Enter")


VIEWS = ["overview", "services/market", "failures"]
LONG = "long enough to be cut in its row: " + 200 * "x" + " to the end"


@pytest.fixture
def small_page(browser: Any) -> Iterator[Any]:
    """A page on a telephone."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    yield context.new_page()
    context.close()


def show_a_failure(page: Any, view: str, console: ConsoleProcess, exchange: ExchangeProcess) -> Any:
    """Let a service fail while a view is shown; returns the row of that."""
    page.goto(f"{console.url}#{view}")
    with Client(exchange.address) as client, contextlib.suppress(Exception):
        client.serviceEndPoint("market", wait=10).fail(LONG)
    row = failure_row(page, "long enough")
    row.locator("summary").wait_for()
    return row


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("open_row", [by_mouse, by_touch, by_keyboard])
def test_a_failure_opens_wherever_it_is_shown_and_says_all_that_is_known(
    small_page: Any,
    console: ConsoleProcess,
    exchange: ExchangeProcess,
    start_market: StartMarket,
    view: str,
    open_row: Callable[[Any, Any], None],
) -> None:
    start_market()
    row = show_a_failure(small_page, view, console, exchange)
    open_row(small_page, row.locator("summary"))
    about = row.locator(".about")
    about.locator("pre").wait_for()
    assert about.locator("pre").inner_text() == f"ValueError: {LONG}"
    script = """e => Object.fromEntries(
        [...e.querySelectorAll('dl > div')].map(d => [...d.children].map(c => c.textContent)))"""
    known = about.evaluate(script)
    assert about.locator("pre").evaluate("e => e.scrollWidth <= e.clientWidth")
    assert [known[name] for name in ("Kind", "Code", "Service", "Method", "Origin", "Times", "Caller")] == [
        *("ApplicationFailure", "57", "market", "fail", "market", "1", "nameless"),
    ]
    assert "'type': 'ValueError'" in known["Details"]
    assert known["First"] == known["Last"] and re.fullmatch(r"\d\d:\d\d:\d\d", known["Last"])


@pytest.mark.parametrize("view", VIEWS)
def test_a_failure_that_was_opened_by_the_keyboard_closes_by_it(
    small_page: Any, console: ConsoleProcess, exchange: ExchangeProcess, start_market: StartMarket, view: str
) -> None:
    start_market()
    row = show_a_failure(small_page, view, console, exchange)
    by_keyboard(small_page, row.locator("summary"))
    row.locator(".about").locator("pre").wait_for()
    small_page.keyboard.press("Enter")
    row.locator(".about").wait_for(state="hidden")


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
    wait_until(lambda: page.wait_for_timeout(100) or asked)


def test_the_console_ends_at_once_though_a_page_follows(page: Any, exchange: ExchangeProcess) -> None:
    with ConsoleProcess(exchange.address) as console:
        page.goto(f"{console.url}#failures")
        connected(page)
        began = time.monotonic()
        console.send_signal(signal.SIGTERM)
        assert console.wait() == 0 and time.monotonic() - began < 5
