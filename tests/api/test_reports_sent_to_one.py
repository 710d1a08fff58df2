"""Reports that are sent to one service, whether it monitors them or not."""

from __future__ import annotations

import gc
import logging

import pytest

from fireflyzmq import Service, ServiceUnavailable
from tests.api.places import Place
from tests.api.reports import Ear, Reader, listen


def test_a_report_is_sent_to_one_service_that_monitors_it(place: Place, feed: Service, ear: Ear) -> None:
    other = listen(place)
    feed.sendReport(place.caller.serviceBinding(), "private", 1)
    place.settle()

    (report,) = ear.reports
    assert (report.subject, report.content, report.lost) == ("private", 1, 0)
    assert report.publisher == feed.serviceBinding()
    assert other.contents() == []


def test_a_report_that_nobody_monitors_goes_to_the_hook(place: Place, feed: Service) -> None:
    reader = place.caller_of(Reader)
    ear = Ear()
    reader.monitorReports(ear, "feed", "monitored")
    place.settle()
    feed.sendReport(reader.serviceBinding(), "monitored", 1)
    feed.sendReport(reader.serviceBinding(), "other", 2)
    place.settle()

    assert ear.take() == [("monitored", 1)]
    assert [(report.subject, report.content) for report in reader.stray] == [("other", 2)]
    assert reader.stray[0].publisher == feed.serviceBinding()


def test_a_report_may_be_sent_to_a_name(place: Place, feed: Service) -> None:
    reader = place.server_of(Reader, "reader")
    place.settle()
    place.caller.sendReport("reader", "s", None)
    place.settle()

    assert [(report.subject, report.content) for report in reader.stray] == [("s", None)]
    assert reader.stray[0].publisher == place.caller.serviceBinding()


def test_a_report_without_a_hook_is_logged(place: Place, feed: Service, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        feed.sendReport(place.caller.serviceBinding(), "s", 1)
        place.settle()

    assert "nobody asked for it" in caplog.text


def test_who_is_not_there_is_told_to_unexpected_failure(place: Place, feed: Service) -> None:
    reader = place.caller_of(Reader)
    feed.close()
    place.settle()
    reader.sendReport(feed.serviceBinding(), "s", 1)
    place.settle()
    gc.collect()
    place.settle()

    assert [type(failure) for failure in reader.unexpected] == [ServiceUnavailable]


def test_sending_is_not_publishing(place: Place, feed: Service, ear: Ear) -> None:
    feed.publishReport("s", 1, -1)
    place.settle()
    feed.sendReport(place.caller.serviceBinding(), "s", 2)
    place.settle()

    assert ear.contents() == [1, 2]
    assert listen(place).contents() == [1]
