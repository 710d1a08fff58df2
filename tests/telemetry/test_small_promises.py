"""What proxies, browsers, logs and other tracers rely on."""

from __future__ import annotations

import json
import logging
import os

from fireflyzmq import JsonFormatter, errors
from fireflyzmq.gateways.web.server.sites import Sites
from fireflyzmq.gateways.web.translation.failures import STATUS
from fireflyzmq.wire.traceparent import child_of


def test_every_kind_of_failure_has_a_status() -> None:
    assert STATUS.keys() == errors.KINDS.keys()


def test_flags_that_are_not_known_do_not_go_out() -> None:
    given = f"00-{'1' * 32}-{'2' * 16}-"
    assert [child_of(given + flags, os.urandom)[-2:] for flags in ("ff", "01", "00", "02")] == ["01", "01", "00", "00"]


def test_a_request_of_somebody_elses_is_logged() -> None:
    record = logging.makeLogRecord({"msg": "hi", "request": "GET /x"})
    assert json.loads(JsonFormatter().format(record))["request"] == "GET /x"


def test_answers_vary_by_origin_and_say_when_to_come_back() -> None:
    sites = Sites("127.0.0.1", None, ["http://a"])
    assert sites.headers(None, False) == sites.headers("http://b", False) == {"Vary": "Origin"}
    assert sites.headers("http://a", False)["Access-Control-Expose-Headers"] == "Retry-After"
    assert Sites("127.0.0.1", None, ()).headers("http://a", False) == {}
    assert [Sites(host, None, ()).any_host for host in ("0.0.0.0", "::", "127.0.0.1")] == [True, True, False]
