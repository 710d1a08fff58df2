"""Programs that need no extra `cli`: `fireflyzmq exchange`, `gateway http`, `console`, `user`.

They read their command lines with argparse. The exchange is the package beside the library, which reads its own.
"""

from __future__ import annotations

import argparse
import getpass
import importlib
import ipaddress
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Sequence

from fireflyzmq._version import VERSION
from fireflyzmq.conventions.extras import needed_for
from fireflyzmq.conventions.limits import add_limits, limits_of
from fireflyzmq.gateways.listening import server_context
from fireflyzmq.gateways.web.server.limits import WebLimits
from fireflyzmq.runtime.beside import COMMAND, exchange_package
from fireflyzmq.telemetry.logs import LOG_FORMATS, TEXT, log_to
from fireflyzmq.wire.addresses import bracketed, host_and_port

TOKEN_VARIABLE = "FIREFLYZMQ_CONSOLE_TOKEN"
"""The environment variable with the console's token, as what stands in a command line is no secret."""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; prints and exits on --help and what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m fireflyzmq", description="The exchange, gateways and tools of fireflyzmq."
    )
    parser.add_argument("--version", action="version", version=f"fireflyzmq {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("exchange", help="run the exchange, through which calls go: see `exchange --help`")
    gateways = commands.add_parser("gateway", help="let programs that speak something else reach services")
    protocols = gateways.add_subparsers(dest="protocol", required=True)
    http = protocols.add_parser("http", help="XML-RPC at /xmlrpc, JSON-RPC at /jsonrpc, plain JSON at /")
    _add_http(http)
    _add_console(commands.add_parser("console", help="show in a browser what an exchange is doing"))
    user = commands.add_parser("user", help="write a line for a file of users")
    user.add_argument("name", help="the user's name")
    user.add_argument("--token", action="store_true", help="make a token in the place of asking for a password")
    options = parser.parse_args(arguments)
    if options.command == "gateway":
        options.limits = limits_of(http, options, WebLimits)
    return options


def _add_http(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--group", default="web-services", help="expose the members of this group (default %(default)s)"
    )
    parser.add_argument(
        "--operations",
        default="guarded",
        choices=("guarded", "public", "off"),
        help="/metrics, /livez and /readyz: for those who may come (guarded), for everybody, or not at all "
        "(default %(default)s)",
    )
    parser.add_argument(
        "--exchange-metrics", action="store_true", help="let /metrics have the numbers of the exchange, too"
    )
    _add_listening(parser, "127.0.0.1:8000")
    parser.add_argument("--host", action="append", metavar="NAME", help="a name it may be asked for under; may repeat")
    parser.add_argument(
        "--origin", action="append", metavar="URL", help="a web site whose pages may use it; may repeat"
    )
    add_limits(parser, WebLimits, lambda field: f"--{field.name.replace('_', '-')}")


def _add_console(parser: argparse.ArgumentParser) -> None:
    _add_listening(parser, "127.0.0.1:11180")
    parser.add_argument(
        "--token",
        help=f"what browsers have to show; default: {TOKEN_VARIABLE}, otherwise none at a loopback address and "
        "elsewhere a new one",
    )
    parser.add_argument("--end-with-input", action="store_true", help=argparse.SUPPRESS)


def _add_listening(parser: argparse.ArgumentParser, listen: str) -> None:
    """Add what all have that serve HTTP."""
    parser.add_argument("--listen", default=listen, metavar="HOST:PORT", help="default %(default)s")
    parser.add_argument(
        "--exchange", metavar="ADDRESS", help="default: FIREFLYZMQ_EXCHANGE, otherwise port 11111 of this host"
    )
    parser.add_argument("--users", metavar="FILE", help="who may come: lines that `python -m fireflyzmq user` writes")
    parser.add_argument("--certificate", metavar="FILE", help="a certificate chain (PEM): speak HTTPS")
    parser.add_argument("--key", metavar="FILE", help="its private key, when that is in a file of its own")
    parser.add_argument(
        "--access-log", action="store_true", help="log a line for each request, when it has ended (level info)"
    )
    parser.add_argument(
        "--log-level", default="info", choices=("debug", "info", "warning", "error"), help="default %(default)s"
    )
    parser.add_argument(
        "--log-format", default=TEXT, choices=LOG_FORMATS, help="json: an object a line (default %(default)s)"
    )


def serve_http(options: argparse.Namespace) -> None:
    """Run an HTTP gateway until a signal comes. OSError or ValueError for options that cannot be."""
    import fireflyzmq as netsvc
    from fireflyzmq import jsonrpc, xmlrpc
    from fireflyzmq.gateways.web.operations import attach_operations

    host, port = host_and_port(options.listen)
    context = server_context(options.certificate, options.key)
    dispatcher = netsvc.Dispatcher()
    dispatcher.monitor(signal.SIGINT)
    exchange = netsvc.Exchange()
    daemon = netsvc.HttpDaemon(
        port,
        host,
        ssl=context,
        authorise=None if options.users is None else netsvc.Users.from_file(options.users),
        hosts=options.host,
        origins=options.origin or (),
        limits=options.limits,
        accessLog=options.access_log,
    )
    daemon.attach("/xmlrpc", xmlrpc.RpcGateway(options.group))
    daemon.attach("/jsonrpc", jsonrpc.RpcGateway(options.group))
    daemon.attach("/", netsvc.PlainGateway(options.group))
    if options.operations != "off":
        public = options.operations == "public"
        attach_operations(daemon, public=public, withExchange=options.exchange_metrics)
    daemon.start()
    exchange.connect(options.exchange)
    scheme = "http" if context is None else "https"
    print(f"gateway listens at {scheme}://{bracketed(host)}:{daemon.port()}", flush=True)
    dispatcher.run()


def serve_console(options: argparse.Namespace) -> None:
    """Run a console until a signal comes. OSError or ValueError for options that cannot be."""
    import fireflyzmq as netsvc
    from fireflyzmq.gateways.console import Console
    from fireflyzmq.gateways.console.operations import attach_console_operations

    host, port = host_and_port(options.listen)
    local = _is_loopback(host)
    users = None if options.users is None else netsvc.Users.from_file(options.users)
    token = options.token or os.environ.get(TOKEN_VARIABLE) or None
    made = token is None and users is None and not local
    if made:
        token = secrets.token_urlsafe(24)
    context = server_context(options.certificate, options.key)
    dispatcher = netsvc.Dispatcher()
    dispatcher.monitor(signal.SIGINT)
    exchange = netsvc.Exchange()
    hosts = {host, f"[{host}]", "localhost", "127.0.0.1", "[::1]"} if local else None
    daemon = netsvc.HttpDaemon(port, host, ssl=context, hosts=hosts, accessLog=options.access_log)
    console = Console(users=users, token=token)
    daemon.attach("/", console)
    attach_console_operations(daemon, console.guard)
    daemon.start()
    exchange.connect(options.exchange)
    if options.end_with_input:
        _end_with_input()
    name = socket.gethostname() if host in ("0.0.0.0", "::") else bracketed(host)
    secret = f"#token={token}" if made else ""
    print(f"console at {'http' if context is None else 'https'}://{name}:{daemon.port()}/{secret}", flush=True)
    dispatcher.run()


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host; of names that is known of one."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _end_with_input() -> None:
    """End this process as soon as the other end of standard input is closed: its owner, the exchange, is gone."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os._exit(0)  # there is nobody left to say goodbye to

    threading.Thread(target=wait, name="console's input", daemon=True).start()


def run_exchange(name: str, arguments: Sequence[str]) -> int:
    """Run the exchange with the daemon's own options; `name` is the command that this is. Returns its exit status."""
    daemon = importlib.import_module(f"{exchange_package()}.__main__")
    status: int = daemon.main(list(arguments), name)
    return status


def write_user(options: argparse.Namespace) -> None:
    """Print a line for a file of users, and a new token to standard error."""
    from fireflyzmq.gateways.web.server.credentials import password_line, token_line

    if options.token:
        token, line = token_line(options.name)
        print(f"token: {token}", file=sys.stderr)
    else:
        line = password_line(options.name, getpass.getpass(f"password of {options.name}: "))
    print(line)


def run_program(arguments: Sequence[str]) -> int:
    """Run a program by its command line; returns its exit status."""
    if arguments[0] == "exchange":
        return run_exchange(COMMAND, arguments[1:])
    options = parse_arguments(arguments)
    try:
        if options.command == "user":
            write_user(options)
        else:
            log_to(sys.stderr, options.log_level, options.log_format)
            with needed_for(f"the {options.command}"):
                {"gateway": serve_http, "console": serve_console}[options.command](options)
    except (ImportError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
