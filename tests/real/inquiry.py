"""What the real tests ask of a jam: its recordings, its processes, its logs, its scsynths."""

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
    """Return the timed room messages of one slot, in the order of their arrival."""
    return [message for message in messages if message.timetag is not None and slot_of(message) == slot]


def notes(recorded: Recording, slot: int, from_ns: int, to_ns: int) -> list[RecordedMessage]:
    """Return the notes of one slot that were due in the window, in the order of their dues."""
    found = [
        message
        for message in of_slot(recorded.to_scsynth, slot)
        if message.address == "/s_new" and from_ns <= message.due_ns < to_ns
    ]
    return sorted(found, key=lambda message: message.due_ns)


def widest_gap_s(dues_ns: list[int]) -> float:
    return max((later - earlier for earlier, later in pairwise(dues_ns)), default=float("inf")) / SECOND_NS


def nodes_below(port: int, group: int) -> int:
    """Return how many nodes live below a group of the genuine scsynth at `port`, asked past everything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2.0)
        sock.connect(("127.0.0.1", port))
        sock.send(osc.message("/g_queryTree", group, 0))
        while True:
            answer = OscMessage(sock.recv(65_536))
            if answer.address == "/g_queryTree.reply":
                return sum(isinstance(entry, str) or entry >= 0 for entry in heads(answer.params[1:])) - 1


def heads(params: list[int | str]) -> Iterator[int | str]:
    """Yield an entry a node of a tree without controls: a group's count of children, a synth's name."""
    at = 0
    while at + 1 < len(params):
        count = params[at + 1]
        is_synth = count == -1
        yield params[at + 2] if is_synth else count
        at += 3 if is_synth else 2


def wait_for(stage: Stage, condition: Callable[[], bool], limit_s: float) -> float:
    """Return after how many seconds `condition` held, infinity if it didn't in `limit_s`; all play on."""
    began_s = time.monotonic()
    while (passed_s := time.monotonic() - began_s) < limit_s:
        if condition():
            return passed_s
        stage.play_for(0.02)
    return float("inf")


def welcomed(performer: Performer) -> int:
    """Return how often the relay has let a performer's bridge in."""
    return performer.server_log_path.read_text(errors="replace").count("in room main as")


def scsynth_port(performer: Performer) -> int:
    """Return the port of the genuine scsynth, without reading a whole recording."""
    with performer.recording_path.open() as lines:
        return recording.parse([next(lines)]).scsynth_port


def ids(performer: Performer) -> dict[str, int]:
    """Return the process ids of a performer's Sonic Pi and scsynth."""
    return {p.name(): p.pid for p in performer.processes() if p.name() in ("ruby", "scsynth", "jackd")}


def homeless(performer: Performer) -> list[str]:
    """Return the lines in which scsynth says that a note's or group's own group doesn't exist."""
    return [line for line in performer.scsynth_log().splitlines() if NO_GROUP.search(line)]


def trouble(text: str) -> list[str]:
    return [line for line in text.splitlines() if TROUBLE.search(line)]
