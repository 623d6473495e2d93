import itertools

from hypothesis import given
from hypothesis import strategies as st

from clock.model import NS_PER_S, ticks_from_ns
from clock.schedule import (
    BURST_REQUESTS,
    BURST_SPACING_NS,
    EAGER_REQUESTS,
    EAGER_SPACING_NS,
    FORGET_AFTER_NS,
    OUTSTANDING_MAX,
    STEADY_SPACING_NS,
    Poller,
)

START_NS = 77 * NS_PER_S


def send_when_due(poller: Poller, count: int, *, answer: bool) -> list[int]:
    """Send `count` requests, each when the poller says; return the local instants (ns) of sending.

    answer: whether each request is answered.
    """
    sent = []
    for _ in range(count):
        at_ns = poller.next_poll_local_ns
        cookie = poller.sent(at_ns)
        if answer:
            assert poller.answered(cookie, at_ns + 1000) == at_ns
        sent.append(at_ns)
    return sent


def gaps(instants: list[int]) -> list[int]:
    return [later - earlier for earlier, later in itertools.pairwise(instants)]


def test_a_burst_of_eight_is_followed_by_four_a_second() -> None:
    sent = send_when_due(Poller(START_NS), BURST_REQUESTS + 3, answer=True)
    assert sent[0] == START_NS
    assert gaps(sent) == [BURST_SPACING_NS] * 7 + [NS_PER_S // 4] * 3


def test_an_unanswered_burst_is_followed_by_eager_requests_but_not_for_ever() -> None:
    sent = send_when_due(Poller(START_NS), BURST_REQUESTS + EAGER_REQUESTS + 3, answer=False)
    assert (
        gaps(sent) == [BURST_SPACING_NS] * 7 + [EAGER_SPACING_NS] * EAGER_REQUESTS + [STEADY_SPACING_NS] * 3
    )


def test_a_burst_can_be_restarted_at_once() -> None:
    poller = Poller(START_NS)
    send_when_due(poller, 12, answer=True)
    poller.restart_burst(START_NS + 100 * NS_PER_S)
    sent = send_when_due(poller, BURST_REQUESTS + 1, answer=True)
    assert sent[0] == START_NS + 100 * NS_PER_S
    assert gaps(sent) == [BURST_SPACING_NS] * 7 + [STEADY_SPACING_NS]


def test_the_cookie_is_the_local_clock_in_ntp_format() -> None:
    assert Poller(0).sent(3 * NS_PER_S // 2) == 3 << 31


def test_an_answer_counts_once() -> None:
    poller = Poller(START_NS)
    cookie = poller.sent(START_NS)
    assert poller.answered(cookie, START_NS + 1) == START_NS
    assert poller.answered(cookie, START_NS + 2) is None


def test_a_forged_origin_is_refused() -> None:
    poller = Poller(START_NS)
    cookie = poller.sent(START_NS)
    assert poller.answered(cookie + 1, START_NS) is None
    assert poller.answered(0, START_NS) is None
    assert poller.answered(cookie, START_NS) == START_NS


def test_a_question_is_forgotten_after_three_seconds() -> None:
    poller = Poller(START_NS)
    in_time, too_late = poller.sent(START_NS), poller.sent(START_NS)
    assert poller.answered(in_time, START_NS + FORGET_AFTER_NS) == START_NS
    assert poller.answered(too_late, START_NS + FORGET_AFTER_NS + 1) is None


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=200))
def test_cookies_differ_and_open_questions_are_bounded_however_often_one_asks(waits: list[int]) -> None:
    poller, now_ns, cookies = Poller(0), 0, []
    for wait in waits:
        now_ns += wait
        cookies.append(poller.sent(now_ns))
    assert len(set(cookies[-OUTSTANDING_MAX:])) == len(cookies[-OUTSTANDING_MAX:])
    assert poller.answered(cookies[-1], now_ns) == now_ns
    open_still = sum(poller.answered(cookie, now_ns) is not None for cookie in cookies[:-1])
    assert open_still < OUTSTANDING_MAX


def test_beyond_the_bound_the_oldest_question_is_forgotten() -> None:
    poller = Poller(START_NS)
    cookies = [poller.sent(START_NS + index) for index in range(OUTSTANDING_MAX + 1)]
    assert poller.answered(cookies[0], START_NS + 99) is None
    for index, cookie in enumerate(cookies[1:], start=1):
        assert poller.answered(cookie, START_NS + 99) == START_NS + index


def test_two_requests_in_one_nanosecond_have_two_cookies() -> None:
    poller = Poller(START_NS)
    assert poller.sent(START_NS) == ticks_from_ns(START_NS)
    assert poller.sent(START_NS) == ticks_from_ns(START_NS) + 1
