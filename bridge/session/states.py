"""States: the states of a bridge towards its relay, and the legal events of each.

Pure. The table holds every legal event of a state, and the state after it. Any other event is the relay's
fault or a bug of ours. Source of the form: h11's `_state.py` (Smith, 2016). A test draws the table and
compares it with docs/way-of-an-event.md.
"""

from enum import Enum

from relay.wire.errors import LocalError, MalformedControl


class State(Enum):
    """The state of a bridge towards its relay."""

    ALONE = "alone"
    """There is no connection. The player's own music is played as stamped."""
    CONNECTING = "connecting"
    """Hello was sent and not answered yet. The player still plays alone."""
    IN_ROOM = "in the room, not in time"
    """The relay has admitted the bridge, but session time isn't the room's yet. No music is sent. The room's
    events wait, because their dues mean nothing here."""
    IN_TIME = "in time"
    """Session time is the room's, and events travel in both directions."""
    GONE = "gone"
    """No Hello is sent any more. The player has left, or plays alone until the process ends."""


JOINED = frozenset({State.IN_ROOM, State.IN_TIME})
"""The states in which the relay counts the bridge among the room's members."""
CONNECTED = JOINED | {State.CONNECTING}
"""The states with a connection on which messages are expected."""


class Event(Enum):
    """An event that changes the state of a bridge, or is legal only in some states."""

    HELLO = "we say Hello"
    CLOCK_SET = "our clock is set to the room's"
    ENDED = "the connection ends"
    LEFT = "the player leaves"
    WELCOME = "Welcome"
    WELCOME_ELSEWHERE = "Welcome to another slot"
    REFUSED = "Refused for now"
    REFUSED_FOR_GOOD = "Refused for good"
    NEWS = "news of the room"
    """Roster, Settings, Notice, LivePart or DigestRequest."""
    UNASKED = "an answer to what no bridge asks"
    """Statistics, an Admission, or a ProbeWelcome."""


OF_THE_RELAY = frozenset(
    {
        Event.WELCOME,
        Event.WELCOME_ELSEWHERE,
        Event.REFUSED,
        Event.REFUSED_FOR_GOOD,
        Event.NEWS,
        Event.UNASKED,
    }
)
"""The events that are control messages of the relay. All other events come from this side."""

TABLE: dict[State, dict[Event, State]] = {
    State.ALONE: {
        Event.HELLO: State.CONNECTING,
        Event.LEFT: State.GONE,
    },
    State.CONNECTING: {
        Event.WELCOME: State.IN_ROOM,
        Event.WELCOME_ELSEWHERE: State.GONE,
        Event.REFUSED: State.CONNECTING,  # the relay closes the connection next
        Event.REFUSED_FOR_GOOD: State.GONE,
        Event.ENDED: State.ALONE,
        Event.LEFT: State.GONE,
    },
    State.IN_ROOM: {
        Event.CLOCK_SET: State.IN_TIME,
        Event.REFUSED_FOR_GOOD: State.GONE,
        Event.NEWS: State.IN_ROOM,
        Event.ENDED: State.ALONE,
        Event.LEFT: State.GONE,
    },
    State.IN_TIME: {
        Event.CLOCK_SET: State.IN_TIME,
        Event.REFUSED_FOR_GOOD: State.GONE,
        Event.NEWS: State.IN_TIME,
        Event.ENDED: State.ALONE,
        Event.LEFT: State.GONE,
    },
    # Messages that the relay sent before it knew this are still on their way.
    State.GONE: {
        Event.REFUSED: State.GONE,
        Event.REFUSED_FOR_GOOD: State.GONE,
        Event.NEWS: State.GONE,
        Event.ENDED: State.GONE,
        Event.LEFT: State.GONE,
    },
}


def after(state: State, event: Event) -> State:
    """Return the state after an event.

    An event that is illegal in this state raises MalformedControl if it is the relay's, and LocalError if it
    is ours.
    """
    following = TABLE[state].get(event)
    if following is not None:
        return following
    if event in OF_THE_RELAY:
        raise MalformedControl(f"{event.value} where a bridge is {state.value}: no relay says that there")
    raise LocalError(f"{event.value} where a bridge is {state.value}: our bug")
