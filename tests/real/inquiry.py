"""Questions about a running jam: its recordings, processes, logs and scsynths."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

from pythonosc.osc_message import OscMessage
from rehearsal.proof.slots import slot_of
from rehearsal.rigs import osc, recording
from rehearsal.rigs.performer import Performer
from rehearsal.rigs.recording import RecordedMessage, Recording
from rehearsal.rigs.stage import Stage

SECOND_NS = 1_000_000_000
NO_GROUP = re.compile(r"FAILURE IN SERVER /[gs]_new Group")
TROUBLE = re.compile(r"error|exception|timeout|timed out|traceback", re.IGNORECASE)


def of_slot(messages: tuple[RecordedMessage, ...], slot: int) -> list[RecordedMessage]:
    """Return the messages of one slot that have a timetag, in the order in which scsynth was handed them."""
    return [message for message in messages if message.timetag is not None and slot_of(message) == slot]


def notes(recorded: Recording, slot: int, from_ns: int, to_ns: int) -> list[RecordedMessage]:
    """Return the notes of one slot that are due in [from_ns, to_ns), in the order of their dues."""
    found = [
        message
        for message in of_slot(recorded.to_scsynth, slot)
        if message.address == "/s_new" and from_ns <= message.due_ns < to_ns
    ]
    return sorted(found, key=lambda message: message.due_ns)


def widest_gap_s(dues_ns: list[int]) -> float:
    return max((later - earlier for earlier, later in pairwise(dues_ns)), default=float("inf")) / SECOND_NS


def nodes_below(port: int, group: int) -> int:
    """Return the number of nodes below a group in the genuine scsynth at `port`, which is asked directly."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2.0)
        sock.connect(("127.0.0.1", port))
        sock.send(osc.message("/g_queryTree", group, 0))
        while True:
            answer = OscMessage(sock.recv(65_536))
            if answer.address == "/g_queryTree.reply":
                return sum(isinstance(entry, str) or entry >= 0 for entry in heads(answer.params[1:])) - 1


def heads(params: list[int | str]) -> Iterator[int | str]:
    """Yield one entry for each node in a /g_queryTree reply: a group's number of children, or a synth's name.

    The reply must be without controls.
    """
    at = 0
    while at + 1 < len(params):
        count = params[at + 1]
        is_synth = count == -1
        yield params[at + 2] if is_synth else count
        at += 3 if is_synth else 2


def wait_for(stage: Stage, condition: Callable[[], bool], limit_s: float) -> float:
    """Let the jam play until `condition` holds, for at most `limit_s`; return the seconds that passed.

    Returns infinity if the condition didn't hold in time.
    """
    began_s = time.monotonic()
    while (passed_s := time.monotonic() - began_s) < limit_s:
        if condition():
            return passed_s
        stage.play_for(0.02)
    return float("inf")


def welcomed(performer: Performer) -> int:
    """Return how often the relay has admitted a performer's bridge, by the bridge's log."""
    return performer.server_log_path.read_text(errors="replace").count("in room main as")


def scsynth_port(performer: Performer) -> int:
    """Return the port of a performer's genuine scsynth, from the first line of its recording."""
    with performer.recording_path.open() as lines:
        return recording.parse([next(lines)]).scsynth_port


def ids(performer: Performer) -> dict[str, int]:
    """Return the process ids of a performer's Sonic Pi (ruby), scsynth and jackd, by name."""
    return {p.name(): p.pid for p in performer.processes() if p.name() in ("ruby", "scsynth", "jackd")}


def homeless(performer: Performer) -> list[str]:
    """Return the lines in which scsynth reports a new note or group whose target group doesn't exist."""
    return [line for line in performer.scsynth_log().splitlines() if NO_GROUP.search(line)]


def trouble(text: str) -> list[str]:
    return [line for line in text.splitlines() if TROUBLE.search(line)]
