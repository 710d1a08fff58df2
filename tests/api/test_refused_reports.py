"""Subjects, contents, lives and subscriptions that are refused where they are given."""

from __future__ import annotations

from typing import Any

import pytest

from fireflyzmq import MessageTooLarge, RequestEncoding, Service
from fireflyzmq.testing import Network
from tests.api.places import Place
from tests.api.reports import Ear


@pytest.mark.parametrize("content", [object(), {"a": [object()]}, lambda: None, "\ud800"])
def test_content_that_does_not_travel_is_refused(place: Place, feed: Service, ear: Ear, content: Any) -> None:
    with pytest.raises(RequestEncoding):
        feed.publishReport("s", content)
    feed.publishReport("s", 1)
    place.settle()

    assert ear.lost() == [0]
    assert ear.contents() == [1]


def test_content_over_the_limit_is_refused() -> None:
    with Network(limits={"message": 100_000}) as network:
        feed = Service("feed", exchange=network.exchange())
        network.settle()
        with pytest.raises(MessageTooLarge):
            feed.publishReport("s", b"x" * 200_000)


@pytest.mark.parametrize("subject", ["", "a b", "a..b", ".a", "a.", "a.*", ">", "a>b", "x" * 1025, "tab\t"])
def test_an_illegal_subject_is_refused(place: Place, feed: Service, ear: Ear, subject: str) -> None:
    for attempt in (feed.publishReport, lambda *args: feed.sendReport(place.caller, *args)):
        with pytest.raises(ValueError):
            attempt(subject, 1)
    place.settle()

    assert ear.contents() == []


@pytest.mark.parametrize("subject", [7, None, b"s", ["s"]])
def test_a_subject_that_is_no_text_is_refused(place: Place, feed: Service, subject: Any) -> None:
    for attempt in (feed.publishReport, lambda *args: feed.sendReport(place.caller, *args)):
        with pytest.raises((ValueError, TypeError)):
            attempt(subject, 1)


@pytest.mark.parametrize("pattern", ["", "a b", "a..b", ">.a", "a.>.b", "a*", "a.b>", "x" * 1025])
def test_an_illegal_pattern_is_refused(place: Place, feed: Service, pattern: str) -> None:
    with pytest.raises(ValueError):
        place.caller.monitorReports(print, "feed", pattern)
    with pytest.raises(ValueError):
        feed.expireReports(pattern)


@pytest.mark.parametrize(
    "options", [{"policy": "best"}, {"policy": ""}, {"limit": 0}, {"limit": -1}, {"limit": 1.5}, {"limit": True}]
)
def test_subscriptions_of_nonsense_are_refused(place: Place, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        place.caller.monitorReports(print, "feed", ">", **options)


@pytest.mark.parametrize("lifeTime", [-2, -0.5, float("nan"), float("inf")])
def test_a_life_of_nonsense_is_refused(place: Place, feed: Service, lifeTime: float) -> None:
    with pytest.raises(ValueError):
        feed.publishReport("s", 1, lifeTime)


@pytest.mark.parametrize("lifeTime", ["5", None, [5], 5j])
def test_a_life_that_is_no_number_is_refused(place: Place, feed: Service, lifeTime: Any) -> None:
    with pytest.raises(TypeError):
        feed.publishReport("s", 1, lifeTime)


@pytest.mark.parametrize("publisher", ["", "two words", 7, None])
def test_what_cannot_be_a_publisher_is_refused(place: Place, publisher: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        place.caller.monitorReports(print, publisher)
    with pytest.raises((ValueError, TypeError)):
        place.caller.sendReport(publisher, "s", 1)
