"""`python -m fireflyzmq gateway http ...`, `python -m fireflyzmq user ...`: what needs no program of one's own."""

from __future__ import annotations

import argparse
import getpass
import logging
import signal
import ssl
import sys
from collections.abc import Sequence

from fireflyzmq._version import VERSION


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; prints and exits on --help and what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m fireflyzmq", description="Gateways and tools of fireflyzmq.")
    parser.add_argument("--version", action="version", version=f"fireflyzmq {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True)
    gateways = commands.add_parser("gateway", help="let programs that speak something else reach services")
    protocols = gateways.add_subparsers(dest="protocol", required=True)
    _add_http(protocols.add_parser("http", help="XML-RPC at /xmlrpc, JSON-RPC at /jsonrpc, plain JSON at /"))
    user = commands.add_parser("user", help="write a line for a file of users")
    user.add_argument("name", help="the user's name")
    user.add_argument("--token", action="store_true", help="make a token in the place of asking for a password")
    return parser.parse_args(arguments)


def _add_http(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--group", default="web-services", help="expose the members of this group (default %(default)s)"
    )
    parser.add_argument("--listen", default="127.0.0.1:8000", metavar="HOST:PORT", help="default %(default)s")
    parser.add_argument(
        "--exchange", metavar="ADDRESS", help="default: FIREFLYZMQ_EXCHANGE, otherwise port 11111 of this host"
    )
    parser.add_argument("--users", metavar="FILE", help="who may come: lines that `python -m fireflyzmq user` writes")
    parser.add_argument("--certificate", metavar="FILE", help="a certificate chain (PEM): speak HTTPS")
    parser.add_argument("--key", metavar="FILE", help="its private key, when that is in a file of its own")
    parser.add_argument("--host", action="append", metavar="NAME", help="a name it may be asked for under; may repeat")
    parser.add_argument(
        "--origin", action="append", metavar="URL", help="a web site whose pages may use it; may repeat"
    )
    parser.add_argument(
        "--log-level", default="info", choices=("debug", "info", "warning", "error"), help="default %(default)s"
    )


def serve_http(options: argparse.Namespace) -> None:
    """Run an HTTP gateway until a signal comes. OSError or ValueError for options that cannot be."""
    import fireflyzmq as netsvc
    from fireflyzmq import jsonrpc, xmlrpc

    host, _, port = options.listen.rpartition(":")
    context = None
    if options.certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate, options.key)
    dispatcher = netsvc.Dispatcher()
    dispatcher.monitor(signal.SIGINT)
    exchange = netsvc.Exchange()
    daemon = netsvc.HttpDaemon(
        int(port),
        host.strip("[]") or "127.0.0.1",
        ssl=context,
        authorise=None if options.users is None else netsvc.Users.from_file(options.users),
        hosts=options.host,
        origins=options.origin or (),
    )
    daemon.attach("/xmlrpc", xmlrpc.RpcGateway(options.group))
    daemon.attach("/jsonrpc", jsonrpc.RpcGateway(options.group))
    daemon.attach("/", netsvc.PlainGateway(options.group))
    daemon.start()
    exchange.connect(options.exchange)
    scheme = "http" if context is None else "https"
    print(f"gateway listens at {scheme}://{host or '127.0.0.1'}:{daemon.port()}", flush=True)
    dispatcher.run()


def write_user(options: argparse.Namespace) -> None:
    """Print a line for a file of users, and a new token to standard error."""
    from fireflyzmq.webgate.credentials import password_line, token_line

    if options.token:
        token, line = token_line(options.name)
        print(f"token: {token}", file=sys.stderr)
    else:
        line = password_line(options.name, getpass.getpass(f"password of {options.name}: "))
    print(line)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status."""
    options = parse_arguments(arguments)
    try:
        if options.command == "user":
            write_user(options)
        else:
            logging.basicConfig(
                level=options.log_level.upper(),
                format="%(asctime)s %(levelname)s %(name)s: %(message)s",
                stream=sys.stderr,
            )
            serve_http(options)
    except ImportError as error:
        print(f"{error}; pip install 'fireflyzmq[http]' brings what is missing", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
