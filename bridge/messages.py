"""Words: what a session tells people.

Pure.
"""

from bridge.effects import Tell
from relay.wire.carrier import Carrier
from relay.wire.control import Member, Refused
from relay.wire.counted import counted
from relay.wire.errors import MalformedControl
from relay.wire.guard import OutOfRange
from relay.wire.ranges import FREE

AWAY = "the relay is away"
NOTHING = "nothing from the relay on any way; connecting anew"
PLAYS_ON = "you play alone for now: "
JOURNAL = "the journal"
TUNING = "--tune-sonic-pi"


def alone(reason: str) -> Tell:
    """Say that nobody else hears the player, and why."""
    return Tell(f"{PLAYS_ON}{reason}", warning=True)


def refused(answer: Refused) -> str:
    """Return why the relay lets nobody in, and whether this join tries again."""
    again = "; this join doesn't try again: end it, and join anew then" if answer.final else ""
    return f"the relay says: {answer.text}{again}"


def not_understood(error: MalformedControl) -> str:
    """Return that what the relay says can't be read."""
    return f"the relay can't be understood: {error}; is its version of jamrelay the same as yours?"


def no_datagrams(carrier: Carrier) -> str:
    """Return that nothing comes although the relay's TLS connection stands, and what to do."""
    return (
        "nothing from the relay for 3 s on the connection for events, although the other one stands: a lossy "
        "network holds TCP up; where its UDP port is open, join without --transport tls"
        if carrier.ordered
        else "no datagram from the relay for 3 s, although TCP is up; is its UDP port open? "
        "Where UDP is blocked, join with --transport tls"
    )


def place_lost(slot: int, room: str) -> Tell:
    """Say that somebody else sits in our slot."""
    return Tell(
        f"your place {slot} in room {room} was given to somebody else while the relay was away; you play "
        "alone now: restart Sonic Pi to join again",
        warning=True,
    )


def inside(room: str, name: str, slot: int, members: list[Member]) -> str:
    """Return where the player is, and who else is there."""
    others = [member.name for member in members if member.slot != slot and member.present]
    company = f"with {', '.join(others)}" if others else "nobody else is here yet"
    return f"in room {room} as {name}, slot {slot}; {company}"


def clock_set(bound_s: float, moved: int) -> Tell:
    """Say that session time was set in one step."""
    along = f"{counted(moved, 'event')} moved along"
    return Tell(f"clock set to the room's within {bound_s * 1e3:.2f} ms; {along}")


def wall_moved(by_s: float) -> list[Tell]:
    """Say that this host's wall clock jumped, if it did, and what that does to whom."""
    if not by_s:
        return []
    text = (
        f"this computer's clock was set by {by_s:+.2f} s, or it slept: the others hear nothing of it, your "
        "own Sonic Pi may be out of time until you stop and run again"
    )
    return [Tell(text, warning=True)]


def out_of_range(error: OutOfRange) -> Tell:
    """Say once which control isn't played, and what it may be set to."""
    low, high, deadly = error.limit
    if low == high:
        expected = f"{low:.8g}"
    elif low == FREE.low:
        expected = f"{high:.8g} or less"
    else:
        expected = f"{low:.8g} or more" if high == FREE.high else f"{low:.8g} to {high:.8g}"
    whose = f"{error.synthdef.removeprefix('sonic-pi-')}'s " if error.synthdef else ""
    why = "else it could end everybody's scsynth" if deadly else "as Sonic Pi's own use_arg_checks has it"
    text = (
        f"{whose}{error.control}: found {error.found}, expected {expected}, {why}. "
        "What sets it so isn't played, neither here nor at the others'"
    )
    return Tell(text, warning=True)


def roster_news(before: list[Member], now: list[Member], own_slot: int) -> list[Tell]:
    """Say who came, who is away and who has left."""
    old = {member.slot: member for member in before if member.slot != own_slot}
    news: list[Tell] = []
    for member in now:
        if member.slot == own_slot:
            continue
        known = old.pop(member.slot, None)
        if member.present != (known is not None and known.present):
            news.append(Tell(f"{member.name} {'is here' if member.present else 'is away'}"))
    return news + [Tell(f"{member.name} has left") for member in old.values()]


def own_synth(name: str) -> Tell:
    """Say that only the player hears a synth of his own."""
    return _only_here(f"{name} is a synthdef of your own: only you hear it")


def own_fx(name: str) -> Tell:
    """Say that only the player hears what an FX of his own does."""
    return _only_here(f"{name} is an FX of your own: the others hear what goes into it as it is")


def own_input(name: str) -> Tell:
    """Say that sound input doesn't travel."""
    return _only_here(f"{name}: sound input stays at home, only you hear it")


def own_file(name: str) -> Tell:
    """Say that only the player hears a sample of his own."""
    return _only_here(f"{name} is none of Sonic Pi's own samples: only you hear it")


def absent(name: str) -> Tell:
    """Say that a sample which somebody else plays can't be loaded here."""
    text = (
        f"{name[:200]} isn't among the samples of Sonic Pi on this computer, or can't be read: you don't "
        "hear it when others play it; is Sonic Pi here as new as theirs? `jamrelay stats` counts such samples"
    )
    return Tell(text, warning=True)


def too_long(name: str) -> Tell:
    """Say that a call has more options than can travel."""
    return _only_here(f"a call of {name} is too long to travel: only you hear it")


def _only_here(text: str) -> Tell:
    return Tell(f"{text[:200]}; `jamrelay stats` counts such sounds", warning=True)
