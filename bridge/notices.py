"""Notices: the texts of the bridge's messages to the player.

Pure.
"""

from bridge.effects import Tell
from relay.wire.carrier import Carrier
from relay.wire.control import Member, Refused
from relay.wire.counted_nouns import counted
from relay.wire.errors import RemoteError
from relay.wire.guard import OutOfRange
from relay.wire.ranges import FREE
from relay.wire.stock import listed, spoken

AWAY = "the relay is away"
NOTHING = "nothing from the relay on any way; connecting anew"
PLAYS_ON = "you play alone for now: "
JOURNAL = "the journal"
TUNING = "--tune-sonic-pi"
FILES = "the look at Sonic Pi's files"


def alone(reason: str) -> Tell:
    """Return the message that the player plays alone, with the reason."""
    return Tell(f"{PLAYS_ON}{reason}", warning=True)


def refused(answer: Refused) -> str:
    """Return the text for a refusal by the relay. The text tells whether this join will try again."""
    again = "; this join doesn't try again: end it, and join anew then" if answer.final else ""
    return f"the relay says: {answer.text}{again}"


def not_understood(error: RemoteError) -> str:
    """Return the text for a control message of the relay that can't be decoded."""
    return f"the relay can't be understood: {error}; is its version of jamrelay the same as yours?"


def no_datagrams(carrier: Carrier) -> str:
    """Return the text, with advice, for a relay that sends no datagrams although the control connection
    stands.

    carrier: the transport of the events; the advice depends on it.
    """
    return (
        "nothing from the relay for 3 s on the connection for events, although the other one stands: a lossy "
        "network holds TCP up; where its UDP port is open, join without --transport tls"
        if carrier.ordered
        else "no datagram from the relay for 3 s, although TCP is up; is its UDP port open? "
        "Where UDP is blocked, join with --transport tls"
    )


def place_lost(slot: int, room: str) -> Tell:
    """Return the message that the relay has given this bridge's slot to another member."""
    return Tell(
        f"your place {slot} in room {room} was given to somebody else while the relay was away; you play "
        "alone now: restart Sonic Pi to join again",
        warning=True,
    )


def without_live_state(name: str) -> Tell:
    """Return the message that a member's live state hasn't come, so only the member's later music is
    heard."""
    return Tell(
        f"what {name} plays at this moment hasn't come from the relay for 3 s: you hear only what {name} "
        "starts from now on; it is asked for again",
        warning=True,
    )


def inside(room: str, name: str, slot: int, members: list[Member]) -> str:
    """Return the text that names the room, the player's name and slot, and the other members present."""
    others = [member.name for member in members if member.slot != slot and member.present]
    company = f"with {', '.join(others)}" if others else "nobody else is here yet"
    return f"in room {room} as {name}, slot {slot}; {company}"


def clock_set(bound_s: float, moved: int) -> Tell:
    """Return the message that session time was set in one step.

    bound_s: the greatest possible error of the clock, s. moved: how many held events of the local player got
    a new due.
    """
    along = f"{counted(moved, 'event')} moved along"
    return Tell(f"clock set to the room's within {bound_s * 1e3:.2f} ms; {along}")


def wall_moved(by_s: float) -> list[Tell]:
    """Return a warning that this host's wall clock jumped; none if it didn't.

    by_s: the jump, s; > 0 is forward, 0 is no jump.
    """
    if not by_s:
        return []
    text = (
        f"this computer's clock was set by {by_s:+.2f} s, or it slept: the others hear nothing of it, your "
        "own Sonic Pi may be out of time until you stop and run again"
    )
    return [Tell(text, warning=True)]


def out_of_range(error: OutOfRange) -> Tell:
    """Return the warning that a control's value is out of range. The warning names the range."""
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
    """Return messages about members that came, went away or left. before, now: the old and the new roster."""
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
    """Return the warning that only the local player hears a synth with a synthdef of their own."""
    return _only_here(f"{name} is a synthdef of your own: only you hear it")


def own_fx(name: str) -> Tell:
    """Return the warning that only the local player hears what an FX of their own does to the sound."""
    return _only_here(f"{name} is an FX of your own: the others hear what goes into it as it is")


def own_input(name: str) -> Tell:
    """Return the warning that sound input isn't sent to the others."""
    return _only_here(f"{name}: sound input stays at home, only you hear it")


def own_file(name: str) -> Tell:
    """Return the warning that only the local player hears a sample of their own."""
    return _only_here(f"{name} is none of Sonic Pi's own samples: only you hear it")


def not_heard(notes: int, whose: str, release: str, names: list[str], percent: int | None) -> Tell:
    """Return the warning that notes were not heard on this host because it lacks files.

    whose: the player of the notes, as "bob's" or "your own". release: of this host's Sonic Pi; "" if unknown.
    names: the files' names. percent: how much of one file has come; None if none is being fetched.
    """
    lacks = f"your Sonic Pi {release}" if release else "your Sonic Pi"
    coming = "" if percent is None else f"; they are being fetched, {percent} %"
    text = f"you didn't hear {counted(notes, 'note')} of {whose}: {lacks} lacks {listed(names)}{coming}"
    return Tell(text, warning=True)


def fetching(name: str, percent: int, more: int) -> Tell:
    """Return the message on how much of a file has come from another member.

    more: how many files are to come after this one.
    """
    behind = f", {counted(more, 'file')} to come after it" if more else ""
    return Tell(f"fetching {spoken(name)} from another member: {percent} %{behind}")


def fetched(name: str) -> Tell:
    """Return the message that a file has come from another member."""
    return Tell(f"{spoken(name)} has come from another member: you hear it from now on")


def nobody_gives(name: str) -> Tell:
    """Return the warning that no member present can send a file that is missing here."""
    text = f"nobody here gives {spoken(name)}, which your Sonic Pi lacks: it is asked for again every 30 s"
    return Tell(text, warning=True)


def cannot_keep(name: str) -> Tell:
    """Return the warning that a file from another member can't be written to the disk."""
    return Tell(f"{spoken(name)} has come, but can't be kept: is the disk full?", warning=True)


def unlisted(names: list[str]) -> Tell:
    """Return the warning that files on this host differ from those of every known release of Sonic Pi."""
    text = (
        f"{listed(names)}: on this computer these are unlike those of every release that jamrelay knows, "
        "so the others may hear something else than you"
    )
    return Tell(text, warning=True)


def absent(name: str) -> Tell:
    """Return the warning that a sample of another member can't be loaded on this host."""
    text = (
        f"{name[:200]} isn't among the samples of Sonic Pi on this computer, or can't be read: you don't "
        "hear it when others play it; is Sonic Pi here as new as theirs? `jamrelay stats` counts such samples"
    )
    return Tell(text, warning=True)


def too_long(name: str) -> Tell:
    """Return the warning that a call with too many options isn't sent to the others."""
    return _only_here(f"a call of {name} is too long to travel: only you hear it")


def _only_here(text: str) -> Tell:
    return Tell(f"{text[:200]}; `jamrelay stats` counts such sounds", warning=True)
