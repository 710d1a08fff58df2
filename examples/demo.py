"""What `make demo` runs: an exchange, the math service and its client, each in a process of its own."""

import signal
import sys
from pathlib import Path

from fireflyzmq.testing import ExchangeProcess, PythonProcess

MATH = Path(__file__).parent / "math"
ANSWERS = 4


def show(label: str, line: str) -> None:
    print(f"{label:<8} | {line}", flush=True)


def main() -> int:
    with (
        ExchangeProcess() as exchange,
        PythonProcess([str(MATH / "service.py")], exchange.environment) as service,
        PythonProcess([str(MATH / "client.py")], exchange.environment) as client,
    ):
        show("exchange", f"listens at {exchange.address}")
        for _ in range(ANSWERS):
            show("service", service.wait_for_line("multiply"))
            show("client", client.wait_for_line(" = "))

        statuses = []
        for label, process in (("client", client), ("service", service), ("exchange", exchange)):
            process.send_signal(signal.SIGINT)
            statuses.append(process.wait())
            show(label, f"stopped by SIGINT, exit status {statuses[-1]}")
    return 1 if any(statuses) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
