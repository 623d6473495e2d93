"""The watch for silent UDP: one notice for each connection, with advice that suits the transport."""

import pytest

from bridge.session.silent_udp import GIVE_UP_AFTER_NS, QUIET_AFTER_NS, QuietWatch
from relay.wire.carrier import TLS, UDP, Carrier


def told(watch: QuietWatch, local_ns: int) -> list[str]:
    news = watch.news(local_ns)
    return [] if news is None else [news]


@pytest.mark.parametrize(
    ("carrier", "advice", "nonsense"),
    [
        (UDP, "is its UDP port open?", "without --transport tls"),
        (TLS, "join without --transport tls", "is its UDP port open?"),
    ],
)
def test_what_is_told_is_of_use_with_the_transport_that_is_used(
    carrier: Carrier, advice: str, nonsense: str
) -> None:
    (text,) = told(QuietWatch(carrier, local_ns=0), QUIET_AFTER_NS + 1)
    assert advice in text
    assert nonsense not in text


def test_it_is_told_once_for_each_connection_and_only_after_a_while_without_a_word() -> None:
    watch = QuietWatch(UDP, local_ns=0)
    assert told(watch, QUIET_AFTER_NS) == []
    watch.heard(QUIET_AFTER_NS)
    assert told(watch, 2 * QUIET_AFTER_NS) == []
    assert len(told(watch, 2 * QUIET_AFTER_NS + 1)) == 1
    watch.heard(3 * QUIET_AFTER_NS)
    assert told(watch, 9 * QUIET_AFTER_NS) == []
    watch.restart(10 * QUIET_AFTER_NS)
    assert told(watch, 11 * QUIET_AFTER_NS) == []
    assert len(told(watch, 12 * QUIET_AFTER_NS)) == 1


def test_a_connection_is_given_up_once_when_nothing_comes_on_either_way() -> None:
    watch = QuietWatch(UDP, local_ns=0)
    assert not watch.gives_up(GIVE_UP_AFTER_NS)
    watch.said(GIVE_UP_AFTER_NS)
    assert not watch.gives_up(2 * GIVE_UP_AFTER_NS)
    watch.heard(2 * GIVE_UP_AFTER_NS)
    assert not watch.gives_up(3 * GIVE_UP_AFTER_NS)
    assert watch.gives_up(3 * GIVE_UP_AFTER_NS + 1)
    assert not watch.gives_up(9 * GIVE_UP_AFTER_NS), "once is enough"
    watch.restart(10 * GIVE_UP_AFTER_NS)
    assert not watch.gives_up(11 * GIVE_UP_AFTER_NS)
    assert watch.gives_up(11 * GIVE_UP_AFTER_NS + 1)
