"""A bridge's states: table, session and docs agree on what each event does in each state."""

from collections.abc import Callable
from itertools import product
from typing import get_args

import pytest

from bridge.session.session import JamSession
from bridge.session.states import OF_THE_RELAY, TABLE, Event, State, after
from relay.wire import control
from relay.wire.errors import LocalError, RemoteError
from relay.wire.stats import Stats
from relay.wire.timetag import ticks
from tests.worlds.bridge import Bench, reading
from tests.worlds.places import ROOT
from tests.worlds.session import Relay, joined

DOCS = ROOT / "docs/way-of-an-event.md"
PAIRS = list(product(State, Event))
REFUSED = control.Refused(reason="room-full", text="room main is full")
FOR_GOOD = control.Refused(reason="protocol", text="you speak 9", final=True)
NEWS = (
    control.Roster(members=[]),
    control.Settings(lead=ticks(0.2), shift=0, horizon=0),
    control.Notice(text="your way is long"),
    control.LivePart(slot=2),
    control.DigestRequest(second=1),
    control.Give(name="samples/bd_haus.flac", sha256=bytes(32), offset=0),
    control.Chunk(name="samples/bd_haus.flac", sha256=bytes(32), offset=0, data=b""),
    control.NoDonor(name="samples/bd_haus.flac", sha256=bytes(32)),
    control.Chosen(files=[]),
)
UNASKED = (
    control.Admission(room="main", members=[]),
    control.ProbeWelcome(channel=1, key_up=bytes(32), key_down=bytes(32)),
    control.ProbeReport(arrivals=[]),
    Stats(software="", uptime_s=1.0, members=0, rooms=[], datagrams_in=0, datagrams_refused=0),
)


def test_every_message_of_a_relay_is_tried() -> None:
    tried = {type(one) for one in (*NEWS, *UNASKED, REFUSED)} | {control.Welcome}
    assert tried == set(get_args(control.Down))


def ids(pair: tuple[State, Event]) -> str:
    return f"{pair[0].value}: {pair[1].value}".replace(" ", "-")


def fault_of(event: Event) -> type[Exception]:
    return RemoteError if event in OF_THE_RELAY else LocalError


def brought_to(state: State) -> tuple[JamSession, Relay]:
    """Return a session that has been brought to a state, and its relay."""
    if state is State.IN_TIME:
        _, session, relay = joined()
        return session, relay
    session = Bench().session()
    relay = Relay(session)
    if state is not State.ALONE:
        session.hello(reading(1.0))
    if state is State.IN_ROOM:
        relay.welcome(at_s=1.0)
    if state is State.GONE:
        session.receive_control(FOR_GOOD, reading(1.0))
    return session, relay


CAUSES: dict[Event, Callable[[JamSession, Relay], object]] = {
    Event.HELLO: lambda session, _: session.hello(reading(2.0)),
    Event.CLOCK_SET: lambda session, _: session._clock._follow(lambda instant: instant, reading(2.0)),
    Event.ENDED: lambda session, _: session.disconnected(),
    Event.LEFT: lambda session, _: session.leave(),
    Event.WELCOME: lambda _, relay: relay.answer(at_s=2.0),
    Event.WELCOME_ELSEWHERE: lambda _, relay: relay.answer(at_s=2.0, slot=5),
    Event.REFUSED: lambda session, _: session.receive_control(REFUSED, reading(2.0)),
    Event.REFUSED_FOR_GOOD: lambda session, _: session.receive_control(FOR_GOOD, reading(2.0)),
}
"""Event -> a function that causes it in a session. NEWS and UNASKED have several causes, listed elsewhere."""


@pytest.mark.parametrize("pair", PAIRS, ids=ids)
def test_an_event_is_in_the_table_or_is_the_fault_of_whom_it_comes_from(pair: tuple[State, Event]) -> None:
    state, event = pair
    if event in TABLE[state]:
        assert after(state, event) is TABLE[state][event]
    else:
        with pytest.raises(fault_of(event), match=f"{event.value} where a bridge is {state.value}"):
            after(state, event)


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair[1] in CAUSES], ids=ids)
def test_a_session_goes_by_the_table(pair: tuple[State, Event]) -> None:
    state, event = pair
    session, relay = brought_to(state)
    assert session.state is state
    follows(session, event, lambda: CAUSES[event](session, relay))


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("news", NEWS, ids=lambda news: type(news).__name__)
def test_news_of_the_room_are_for_those_who_are_in(state: State, news: control.Down) -> None:
    session, _ = brought_to(state)
    follows(session, Event.NEWS, lambda: session.receive_control(news, reading(2.0)))


def follows(session: JamSession, event: Event, cause: Callable[[], object]) -> None:
    """Cause an event; assert that the next state, or the error, is the one in the table."""
    before = session.state
    if event in TABLE[before]:
        cause()
        assert session.state is TABLE[before][event]
    else:
        with pytest.raises(fault_of(event)):
            cause()
        assert session.state is before, "an illegal event changes nothing"


def test_every_state_is_reached_and_only_gone_is_for_good() -> None:
    reached = {following for legal in TABLE.values() for following in legal.values()}
    assert reached == TABLE.keys() == set(State)
    assert [state for state, legal in TABLE.items() if set(legal.values()) == {state}] == [State.GONE]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("answer", UNASKED, ids=lambda answer: type(answer).__name__)
def test_an_answer_to_what_a_bridge_never_asks_is_the_relays_fault(
    state: State, answer: control.Down
) -> None:
    session, _ = brought_to(state)
    follows(session, Event.UNASKED, lambda: session.receive_control(answer, reading(2.0)))


def test_the_docs_show_the_table() -> None:
    assert drawn() in DOCS.read_text("utf-8"), f"docs/way-of-an-event.md is to hold:\n\n{drawn()}"


def drawn() -> str:
    """Return the table as Markdown, with a row for each event and a column for each state."""
    rows = [["", *(state.value for state in State)], ["---"] * (1 + len(State))]
    for event in Event:
        whose = "relay: " if event in OF_THE_RELAY else ""
        rows.append([f"{whose}{event.value}", *(cell(state, event) for state in State)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def cell(state: State, event: Event) -> str:
    """Return the text of one cell: the next state, "stays", or "error"."""
    following = TABLE[state].get(event)
    if following is None:
        return "error"
    return "stays" if following is state else f"**{following.value}**"
