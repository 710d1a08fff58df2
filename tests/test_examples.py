"""The examples and the programs of README.md and the guide, run as readers run them: real processes, one exchange."""

import contextlib
import re
import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import fireflyzmq as netsvc
from fireflyzmq.testing import ExchangeProcess, PythonProcess

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "guide.md"

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"\bprint\(.*\)(?:  # (.*))?$", re.MULTILINE)
PRODUCT = re.compile(r"(\d+) \* (\d+) = (\d+)")

both_signals = pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])


@pytest.fixture
def exchange() -> Iterator[ExchangeProcess]:
    with ExchangeProcess() as process:
        yield process


@pytest.fixture
def math(exchange: ExchangeProcess) -> Iterator[PythonProcess]:
    """The math service, registered."""
    with example(exchange, "math/service.py") as process, netsvc.Client(exchange.address) as client:
        assert client.lookup("math", timeout=20)
        yield process


def example(exchange: ExchangeProcess, program: str, *arguments: str) -> PythonProcess:
    return PythonProcess([str(EXAMPLES / program), *arguments], exchange.environment)


def output_of(process: PythonProcess) -> list[str]:
    """What a program prints that ends by itself, with exit status 0."""
    with process:
        assert process.wait() == 0, "\n".join(process.lines)
    return process.lines


def stop(process: PythonProcess, signum: int) -> None:
    process.send_signal(signum)
    assert process.wait() == 0, "\n".join(process.lines)
    assert not [line for line in process.lines if "Traceback" in line]


def printed_in(folder: str, start: str) -> list[str]:
    """What the README of an example says that a program prints: the indented block that begins so."""
    blocks = re.findall(r"(?:^    .*\n)+", (EXAMPLES / folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    (block,) = (block for block in blocks if block.startswith(f"    {start}"))
    return textwrap.dedent(block).splitlines()


def counts(line: str) -> dict[str, int]:
    """What the instances example says of who answered: `key ada: a 3, b 2`."""
    pairs = (pair.split() for pair in line.partition(": ")[2].split(", "))
    return {label: int(count) for label, count in pairs}


def is_right(line: str) -> bool:
    found = PRODUCT.fullmatch(line)
    assert found, line
    x, y, product = map(int, found.groups())
    return x * y == product


@both_signals
def test_exchange_service_and_client_in_netsvcs_style_multiply_and_stop_cleanly(signum: int) -> None:
    environment = {"FIREFLYZMQ_EXCHANGE": "tcp://127.0.0.1:0"}
    with PythonProcess([str(EXAMPLES / "math/exchange.py")], environment) as exchange:
        environment["FIREFLYZMQ_EXCHANGE"] = exchange.wait_for_line("exchange listens at ").split()[-1]
        with (
            PythonProcess([str(EXAMPLES / "math/service.py")], environment) as service,
            PythonProcess([str(EXAMPLES / "math/client.py")], environment) as client,
        ):
            assert is_right(client.wait_for_line(" = "))
            assert is_right(client.wait_for_line(" = "))
            for process in (client, service, exchange):
                stop(process, signum)


def test_a_program_of_the_standard_library_calls_math_through_the_gateway(
    exchange: ExchangeProcess, math: PythonProcess
) -> None:
    with example(exchange, "math/gateway.py", "0") as gateway:
        port = gateway.wait_for_line("gateway listens at port ").split()[-1]
        assert output_of(example(exchange, "math/webclient.py", port)) == printed_in("math", "42")
        stop(gateway, signal.SIGINT)


def test_the_math_client_goes_on_asking_until_somebody_offers_math(exchange: ExchangeProcess) -> None:
    with example(exchange, "math/client.py") as client:
        client.wait_for_line("nobody offers math yet")
        with example(exchange, "math/service.py"):
            assert is_right(client.wait_for_line(" = "))
            stop(client, signal.SIGINT)


def test_calls_are_awaited_and_gathered_in_an_asyncio_program(exchange: ExchangeProcess, math: PythonProcess) -> None:
    product, squares, failed = output_of(example(exchange, "awaited/client.py"))
    assert product == "6 * 7 = 42"
    assert squares == "squares: [1, 4, 9, 16, 25]"
    assert failed.startswith("failed: math.multiply:")
    assert failed.endswith("[InvalidArguments 56]")


def test_a_script_calls_and_blocks_from_one_thread_and_from_many(
    exchange: ExchangeProcess, math: PythonProcess
) -> None:
    product, squares, failed = output_of(example(exchange, "blocking/client.py"))
    assert product == "6 * 7 = 42"
    assert squares == "squares: [1, 4, 9, 16, 25]"
    assert failed.startswith("failed: astrology.horoscope:")
    assert failed.endswith("[ServiceUnavailable 46]")


def test_instances_of_one_name_share_the_calls_as_the_balance_says(exchange: ExchangeProcess) -> None:
    with (
        example(exchange, "instances/worker.py", "a") as a,
        example(exchange, "instances/worker.py", "b") as b,
        example(exchange, "instances/worker.py", "c") as c,
    ):
        for worker in (a, b, c):
            worker.wait_for_line("is ready")
        found, in_turn, busy, idlest, *by_key = output_of(example(exchange, "instances/client.py"))
        for worker in (a, b, c):
            stop(worker, signal.SIGTERM)
    assert found == "3 instances"
    assert counts(in_turn) == {"a": 3, "b": 3, "c": 3}
    assert busy.removeprefix("busy: ") not in counts(idlest)
    assert len(counts(idlest)) == 2, "30 calls, ties broken at random: both idle workers get some"
    assert [line.partition(":")[0] for line in by_key] == ["key ada", "key bob", "key cleo"]
    assert all(len(counts(line)) == 1 for line in by_key)


def test_a_call_inside_a_call_has_the_time_that_is_left_and_ends_with_it(exchange: ExchangeProcess) -> None:
    with example(exchange, "nested/stock.py") as stock, example(exchange, "nested/shop.py") as shop:
        ordered, *times, failed = output_of(example(exchange, "nested/client.py"))
        stock.wait_for_line("stopped looking for a unicorn")
        for service in (shop, stock):
            stop(service, signal.SIGINT)
    at_shop, at_stock, at_last = (float(line.rpartition(" ")[2]) for line in times)
    assert ordered == "ordered a lamp"
    slack = 0.5  # deadlines cross processes with both bounds of what their clocks differ by
    assert 10 + slack > at_shop > at_stock > at_last > 0
    assert failed.startswith("failed: shop.order:")
    assert failed.endswith("[RequestTimeout 47]")


def test_a_service_calls_back_the_object_that_a_client_handed_it(exchange: ExchangeProcess) -> None:
    with example(exchange, "callback/builder.py") as builder:
        steps = ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
        assert output_of(example(exchange, "callback/client.py")) == [*steps, "built"]
        stop(builder, signal.SIGTERM)


def test_a_board_says_who_comes_who_goes_and_why(exchange: ExchangeProcess) -> None:
    with example(exchange, "presence/visitor.py", "ada") as ada, netsvc.Client(exchange.address) as client:
        assert client.lookup("ada", timeout=20)
        with example(exchange, "presence/board.py") as board:
            board.wait_for_line("+ ada")
            with example(exchange, "presence/visitor.py", "bob", "leave") as bob:
                board.wait_for_line("- bob (left)")
                stop(bob, signal.SIGTERM)
            assert output_of(example(exchange, "presence/visitor.py", "cleo", "close")) == []
            board.wait_for_line("- cleo (goodbye)")
            stop(ada, signal.SIGINT)
            board.wait_for_line("- ada (drained)")
            ada.start()
            board.wait_for_line("+ ada")
            ada.kill()
            board.wait_for_line("- ada (lost)")
            stop(board, signal.SIGTERM)
    assert board.lines == printed_in("presence", "+ ada")


def test_a_call_of_five_workers_has_an_answer_or_a_failure_of_each_though_one_is_killed(
    exchange: ExchangeProcess,
) -> None:
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(example(exchange, "group/worker.py", str(number))) for number in range(1, 6)]
        lines = output_of(example(exchange, "group/client.py"))
        assert workers[4].wait() == -signal.SIGKILL
        for worker in workers[:4]:
            stop(worker, signal.SIGTERM)
    assert sorted(lines) == sorted(printed_in("group", "5 workers"))
    assert lines[:3] == ["5 workers", "worker1: 1229 primes", "killed worker5"]
    assert lines.index("worker5: ServiceWithdrawn") < lines.index("worker4: 958 primes"), "it was told at once"
    assert lines[-2].startswith("the whole: 4 answers, 1 failure")
    assert lines[-1].startswith("the first of 4 to answer: worker")


@pytest.fixture
def feed(exchange: ExchangeProcess) -> Iterator[PythonProcess]:
    """The price feed, after its second tick."""
    with example(exchange, "prices/feed.py") as process:
        process.wait_for_line("tick 2")
        yield process
        stop(process, signal.SIGTERM)


def test_a_late_subscriber_gets_the_prices_that_are_kept_and_then_the_new_ones(
    exchange: ExchangeProcess, feed: PythonProcess
) -> None:
    copper, silver, *gold = output_of(example(exchange, "prices/late.py"))
    feed.wait_for_line("price.* is monitored no more")
    assert "price.* is monitored" in feed.lines
    assert (copper, silver) == ("copper 4 (tick 0)", "silver 30 (tick 0)")
    first = int(gold[0].split()[1]) - 2400
    assert first >= 2
    assert gold == [f"gold {2400 + tick} (tick {tick})" for tick in range(first, first + 4)]


def test_a_slow_subscriber_learns_how_many_reports_it_missed(exchange: ExchangeProcess, feed: PythonProcess) -> None:
    *gaps, together = output_of(example(exchange, "prices/slow.py"))
    missed = [int(line.split()[1]) for line in gaps]
    assert sum(missed) > 0
    assert together == f"got {20_000 - sum(missed)}, missed {sum(missed)}, together 20000"


@pytest.mark.parametrize("first", ["root", "node"])
def test_root_and_child_of_the_firefly_tutorials_call_each_other_whoever_is_first(
    exchange: ExchangeProcess, first: str
) -> None:
    second = "node" if first == "root" else "root"
    with example(exchange, f"nodes/{first}.py") as one, netsvc.Client(exchange.address) as client:
        assert client.lookup(f"test_{first}", timeout=20)
        with example(exchange, f"nodes/{second}.py") as other:
            root, node = (one, other) if first == "root" else (other, one)
            node.wait_for_line("test_root answers: node测试1")
            root.wait_for_line("test_node answers: call printOK_01")
            stop(node, signal.SIGINT)
            root.wait_for_line("test_node is gone (drained)")
            stop(root, signal.SIGTERM)
    assert sorted(root.lines[:-1]) == sorted(printed_in("nodes", "test_node has come"))
    assert sorted(node.lines) == sorted(printed_in("nodes", "printOK"))


def test_a_client_on_a_plain_socket_talks_to_a_service_through_a_netport(exchange: ExchangeProcess) -> None:
    with example(exchange, "netport/service.py", "0") as service, netsvc.Client(exchange.address) as client:
        port = service.wait_for_line("net1 listens at port ").split()[-1]
        assert client.lookup("calculator", timeout=20)
        lines = output_of(example(exchange, "netport/client.py", port))
        stop(service, signal.SIGTERM)
    assert sorted(lines) == sorted(printed_in("netport", "7 6 * 7"))


def test_the_demo_shows_answers_and_stops_everything_with_status_0() -> None:
    lines = output_of(PythonProcess([str(EXAMPLES / "demo.py")]))
    said = [tuple(part.strip() for part in line.split("|")) for line in lines]
    answers = [text for label, text in said if label == "client" and " = " in text]
    assert len(answers) >= 3
    assert all(is_right(answer) for answer in answers)
    stopped = [label for label, text in said if text == "stopped by SIGINT, exit status 0"]
    assert stopped == ["client", "service", "exchange"]


def readme_programs() -> list[str]:
    """The programs in README.md: the service first, then those that call it."""
    return BLOCK.findall(README.read_text(encoding="utf-8"))


def test_the_service_and_its_caller_at_the_head_of_the_readme_work(exchange: ExchangeProcess, tmp_path: Path) -> None:
    service, caller = readme_programs()[:2]
    assert "# service.py" in service
    assert "# caller.py" in caller
    (tmp_path / "service.py").write_text(service, encoding="utf-8")
    (tmp_path / "caller.py").write_text(caller, encoding="utf-8")
    with PythonProcess([str(tmp_path / "service.py")], exchange.environment) as process:
        assert output_of(PythonProcess([str(tmp_path / "caller.py")], exchange.environment)) == ["42"]
        stop(process, signal.SIGTERM)


def guide_programs() -> list[str]:
    """The programs in the guide."""
    return BLOCK.findall(GUIDE.read_text(encoding="utf-8"))


def check_output(lines: list[str], comments: list[str]) -> None:
    """Check what a program printed against the comments behind its `print`s, in which `...` stands for any text.

    Each comment is true of a line, and each line is told of by a comment, unless there is a `print` without one. The
    order is not that of the text, as there are loops and callbacks.
    """
    patterns = [re.escape(comment).replace(r"\.\.\.", ".*") for comment in comments if comment]
    for pattern in patterns:
        assert any(re.fullmatch(pattern, line) for line in lines), (pattern, lines)
    for line in lines:
        assert "" in comments or any(re.fullmatch(pattern, line) for pattern in patterns), (line, comments)


@pytest.mark.parametrize("text", [*readme_programs()[2:], *guide_programs()])
def test_a_program_of_the_documentation_prints_what_it_says(
    exchange: ExchangeProcess, math: PythonProcess, tmp_path: Path, text: str
) -> None:
    program = tmp_path / "test_program.py"
    program.write_text(text, encoding="utf-8")
    if "def test_" in text:
        output = output_of(PythonProcess(["-m", "pytest", "-q", "--rootdir", str(tmp_path), str(program)]))
        assert "passed" in output[-1]
    else:
        check_output(output_of(PythonProcess([str(program)], exchange.environment)), PRINTED.findall(text))
