"""Stage: owns performers (genuine Sonic Pis) and other programs, and ends them in any case."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from rehearsal.rigs.machine import (
    StageError,
    end_child,
    tail,
)
from rehearsal.rigs.performer import BOOT_S, POLL_S, Performer
from rehearsal.rigs.recorder import die_with_parent

READY_S = 15.0


class Stage:
    """Owner of performers and of other child processes. At its end it ends all of them, in reverse order of
    their start.

    Use as a context manager. A child started by `spawn` gets SIGTERM, then SIGKILL, with its whole process
    group. If the stage's process is killed, the kernel ends the children.
    """

    def __init__(self) -> None:
        self.performers: list[Performer] = []
        self.children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Stage":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, performer: Performer) -> Performer:
        """Take over a performer that isn't started yet, and return it."""
        self.performers.append(performer)
        return performer

    def spawn(
        self, command: Sequence[str | Path], log: Path, *, env: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start another program with its output appended to `log`, and own it. env: added to this process's
        environment."""
        with log.open("ab") as output:
            child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | dict(env or {}),
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.children.append(child)
        return child

    def boot(self, timeout_s: float = BOOT_S, progress: Callable[[Performer], None] | None = None) -> None:
        """Start all performers together and wait until all have booted.

        progress: called with each performer once it has booted.

        Raises StageError if one doesn't boot within timeout_s.
        """
        for performer in self.performers:
            if performer.process is None:
                performer.start()
        for performer in self.performers:
            performer.wait_booted(timeout_s)
            if progress is not None:
                progress(performer)

    def poll(self) -> None:
        """Read all Sonic Pis' messages to their GUIs. Raises StageError if a performer has ended."""
        for performer in self.performers:
            performer.poll()
            if performer.process is not None and not performer.is_alive:
                performer.wait_until(lambda: False, "alive", 0)

    def play_for(self, seconds: float, tick: Callable[[float], None] | None = None) -> None:
        """Poll all performers for `seconds`. tick: called with the seconds left. Raises StageError if one
        ends."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            self.poll()
            if tick is not None:
                tick(left_s)
            time.sleep(min(POLL_S, left_s))

    def close(self) -> None:
        """End all performers, and then all children, the last started first. Idempotent."""
        for performer in self.performers:  # all pipes first, so that they end together
            if performer.process is not None and performer.process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    performer.process.stdin.close()
        for performer in reversed(self.performers):
            performer.end()
        for child in reversed(self.children):
            end_child(child)


def wait_for_text(
    log: Path, words: str, after: int = 0, child: "subprocess.Popen[bytes] | None" = None
) -> str:
    """Wait until a log contains `words`; return the text that follows them.

    after: ignore so many bytes at the log's start. Raises StageError with the log's end after READY_S, or if
    `child` ends first.
    """
    deadline_s = time.monotonic() + READY_S
    while words not in (text := log.read_bytes()[after:].decode(errors="replace") if log.exists() else ""):
        if time.monotonic() > deadline_s or (child is not None and child.poll() is not None):
            raise StageError(f"{words!r} was not said within {READY_S:.0f} s\n{tail(log)}")
        time.sleep(0.05)
    return text.split(words, 1)[1]
