"""The music of one steady player at one member, from a recording of what scsynth was handed. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.scsynth.id_space import NODE_BITS
from relay.wire.osc import single_message
from tests.worlds.crowds import crowds, echoes, torn
from tests.worlds.steady import NOTE, Key, Steady, key_of

WITHIN_NS = 10_000_000
CROWD_MAX = 5
"""Greatest number of notes of one player that may sound within WITHIN_NS. Usually it is one."""
ECHO_NS = 500_000_000
"""Greatest time (ns) by which a member may hear a note later than the note's own player."""
ABOUT_NODES = ("/s_new", "/g_new", "/n_free", "/n_set")

Seen = tuple[int, int | None, int, bytes]
"""One recorded message: (handed over at, its timetag, the timetag as scsynth sorts by it, the message).

The first two are in ns by one clock. The timetag in ns is None if the message is to be played at once.
"""


@dataclass(frozen=True)
class Heard:
    """What one member heard of one player.

    notes: id -> instant (ns) at which the note first sounded. twice: ids of the notes that sounded again.
    """

    notes: dict[int, int]
    twice: list[int]
    structure: list[Key]
    """Groups, FX, mixers and frees, in the order in which scsynth executed them."""
    settings: list[Key]


def hear(seen: Iterable[Seen], slot: int, music: Steady) -> Heard:
    """Return a player's music as one scsynth played it. slot: the player's slot.

    scsynth executes a late message at once. It executes the others in the order of their timetags, and
    messages with equal timetags in the order of arrival.
    """
    executed = sorted(
        (
            (at_ns, 0, message) if tag_ns is None or tag_ns <= at_ns else (tag_ns, timetag, message)
            for at_ns, tag_ns, timetag, message in seen
        ),
        key=lambda one: one[:2],
    )
    notes: dict[int, int] = {}
    times = Counter[int]()
    keys: list[Key] = []
    known = set(music.structure) | set(music.settings)
    for at_ns, _, message in executed:
        if not message.startswith(tuple(address.encode() + b"\0" for address in ABOUT_NODES)):
            continue
        node = single_message(message).arg(1 if message.startswith(b"/s_new\0") else 0)
        if not isinstance(node, int) or node >> NODE_BITS != slot:
            continue
        key = key_of(message)
        if NOTE in message:
            if key[1] not in music.emitted_s:
                continue
            notes.setdefault(key[1], at_ns)
            times[key[1]] += 1
        elif key in known:
            keys.append(key)
    return Heard(
        notes,
        [note for note, count in times.items() if count > 1],
        [key for key in keys if key in set(music.structure)],
        [key for key in keys if key in set(music.settings)],
    )


def crowd(heard: Heard) -> int:
    """Return the greatest number of notes that sound within WITHIN_NS."""
    return crowds(heard.notes.values(), WITHIN_NS)


def burst(who: str, heard: Heard, own: Heard, music: Steady, *, is_owner: bool) -> list[str]:
    """Return, as texts, what is wrong with the notes that a member heard.

    Wrong are: too many at once, a note twice, late notes, torn chords (not for the player itself). who: the
    member's name. own: the music as its player heard it. is_owner: whether the member is the player.
    """
    found = []
    if crowd(heard) > CROWD_MAX:
        found.append(f"{crowd(heard)} notes within 10 ms at {who}")
    if heard.twice:
        found.append(f"{len(heard.twice)} notes twice at {who}")
    if not is_owner and (apart := torn(music.chords, heard.notes)):
        found.append(f"{len(apart)} chords torn at {who}")
    if late := echoes(own.notes, heard.notes, ECHO_NS):
        worst_s = max(by_ns for _, by_ns in late) / 1e9
        found.append(f"{len(late)} notes at {who} up to {worst_s:.2f} s after their player heard them")
    return found


def unbuilt(who: str, heard: Heard, music: Steady) -> list[str]:
    """Return, as texts, which groups, FX, settings and frees a member lacks or has in another order."""
    found = []
    for what, got, sent in (
        ("structure", heard.structure, music.structure),
        ("settings", heard.settings, music.settings),
    ):
        if got != sent:
            lacking = len(set(sent) - set(got))
            at = next(
                (index for index, pair in enumerate(zip(got, sent, strict=False)) if pair[0] != pair[1]), 0
            )
            found.append(
                f"{what} at {who}: {len(got)} of {len(sent)}, {lacking} lacking; they differ from #{at} on: "
                f"{got[at : at + 3]} for {sent[at : at + 3]}"
            )
    return found
