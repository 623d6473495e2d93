"""Plays snippets of code on several Sonic Pis at once, stops each, and may play it once more.

For each snippet it keeps the instants (Unix ns, by the recorders' clock), scsynth's tree of nodes after the
stop, and Sonic Pi's messages.
"""

import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal.rigs.performer import TIMING_WARNING, Performer
from rehearsal.rigs.stage import Stage
from rehearsal.rigs.tree import Node, query
from rehearsal.tryout.run_messages import runs, seconds_behind

NEXT = "#---NEXT\n"
"""A line that divides a snippet's code. The second part is run after half the time, beside the first one."""
QUIET_S = 2.6
"""Time (s) to wait after a stop. Sonic Pi fades for 1.1 s and then frees; it frees late FX 1 s after that."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """Code to play for `first_s`, and after its stop once more for `again_s`; 0: not again."""

    name: str
    code: str
    first_s: float
    again_s: float


@dataclass(frozen=True, slots=True)
class Turn:
    """One snippet played on one Sonic Pi, from its start until all is quiet. Instants are Unix ns."""

    snippet: str
    again: bool
    from_ns: int
    stop_ns: int
    to_ns: int
    tree: Node
    """The nodes of its scsynth at `to_ns`."""
    said: tuple[str, ...]
    """The messages of Sonic Pi to its window from `from_ns` to `to_ns`."""

    @property
    def name(self) -> str:
        return f"{self.snippet}{' again' if self.again else ''}"

    def runs(self, what: str) -> set[str]:
        """Return the numbers of the runs that Sonic Pi reported. what: "Stopping run" or "Completed run"."""
        return runs(self.said, what)

    @property
    def warnings(self) -> list[str]:
        """Sonic Pi's warnings that a thread was late."""
        return [line for line in self.said if TIMING_WARNING.search(line)]

    @property
    def seconds_behind(self) -> int:
        """Number of seconds for which Sonic Pi warned that a thread was late."""
        return seconds_behind(self.warnings)


def load(folder: Path, lengths_s: Mapping[str, tuple[float, float]]) -> list[Snippet]:
    """Return snippets from the files of a folder. lengths_s: name -> (first_s, again_s)."""
    return [
        Snippet(name, (folder / f"{name}.rb").read_text(encoding="utf-8"), *lengths)
        for name, lengths in lengths_s.items()
    ]


def play(
    stage: Stage,
    performers: Mapping[str, Performer],
    ports: Mapping[str, int],
    snippets: Sequence[Snippet],
    solo: Container[str] = (),
) -> dict[str, list[Turn]]:
    """Play all snippets, each on all performers at the same time; return the turns by performer.

    Snippets named in `solo` are played on one performer after the other. ports: of the genuine scsynths.
    """
    turns: dict[str, list[Turn]] = {name: [] for name in performers}
    for snippet in snippets:
        together = [[name] for name in performers] if snippet.name in solo else [list(performers)]
        for names in together:
            for again in (False, True) if snippet.again_s else (False,):
                some = {name: performers[name] for name in names}
                for name, turn in play_once(stage, some, ports, snippet, again=again).items():
                    turns[name].append(turn)
    return turns


def play_once(
    stage: Stage,
    performers: Mapping[str, Performer],
    ports: Mapping[str, int],
    snippet: Snippet,
    *,
    again: bool,
) -> dict[str, Turn]:
    """Play one snippet on all performers at the same time, until all is quiet; return each performer's turn.

    again: play it for `again_s` instead of `first_s`.
    """
    stage.poll()
    heard = {name: len(performer.gui_messages) for name, performer in performers.items()}
    from_ns = time.time_ns()
    parts = snippet.code.split(NEXT)
    for part in parts:
        for performer in performers.values():
            performer.run_code(part)
        stage.play_for((snippet.again_s if again else snippet.first_s) / len(parts))
    stop_ns = time.time_ns()
    for performer in performers.values():
        performer.stop_jobs()
    stage.play_for(QUIET_S)
    turns = {}
    for name, performer in performers.items():
        said = tuple(performer.gui_lines())[heard[name] :]
        tree = query(ports[name])
        turns[name] = Turn(snippet.name, again, from_ns, stop_ns, time.time_ns(), tree, said)
    return turns
