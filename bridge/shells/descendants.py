"""Descendants: the command that a join has started, and all processes that it has started in turn.

A shell. Sonic Pi's window starts a Ruby server, which starts scsynth, Erlang and more. A window that crashes
or is ended by a signal leaves them all running. On Linux this process adopts such orphans, so that it can end
them. On other systems orphans aren't found.
"""

import contextlib
import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence

import psutil

_PR_SET_CHILD_SUBREAPER = 36
TERM_S = 4.0
"""How long processes may take to end after they were asked to, s. A bridge says goodbye in 1.5 s, scsynth
quits in 1 s."""
HURRY_S = 1.0
"""The longest wait for anything after the person at the terminal has pressed Ctrl-C twice, s."""
KILL_S = 1.0
LOOK_EVERY_S = 0.05


class Descendants:
    """One command and its descendants. Processes that this process had started before are left alone."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        """Start the command. Raises OSError."""
        self._strangers = set(psutil.Process().children(recursive=True))
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._process = subprocess.Popen(list(command), env=dict(env))

    def poll(self) -> int | None:
        """Return the command's exit status; None while it runs. Adopted processes that have ended are
        reaped."""
        status = self._process.poll()  # first and only here, because the status is given out once
        others = {self._process.pid, *(stranger.pid for stranger in self._strangers)}
        while sys.platform == "linux":
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if ended is None or ended.si_pid in others:
                break
            os.waitpid(ended.si_pid, 0)
        return status

    def ask_to_end(self) -> None:
        """Ask the command to end, but not its descendants."""
        with contextlib.suppress(OSError):  # another user's, like sudo, which gets Ctrl-C from the terminal
            self._process.terminate()

    def end(self, patience_s: float, spared: Collection[int], hurried: Callable[[], bool]) -> None:
        """End all remaining processes: wait for them, ask them to end, kill them.

        patience_s: how long (s) they may take to end unasked. spared: ids of processes that end their
        children themselves, so their children are not asked. hurried: returns True if all waiting is to be
        short from now on.
        """
        self._gone_within(patience_s, hurried)
        for process in self._left():
            with contextlib.suppress(psutil.Error):  # gone meanwhile, or another user's
                if process.ppid() not in spared:
                    process.terminate()
        self._gone_within(TERM_S, hurried)
        for process in self._left():
            with contextlib.suppress(psutil.Error):  # gone meanwhile, or another user's
                process.kill()
        self._gone_within(KILL_S, hurried)

    def _left(self) -> set[psutil.Process]:
        return set(psutil.Process().children(recursive=True)) - self._strangers

    def _gone_within(self, patience_s: float, hurried: Callable[[], bool]) -> None:
        """Wait until all processes are gone, but at most `patience_s`. Those started or adopted meanwhile
        count too."""
        began_s = time.monotonic()
        while self._left():
            allowed_s = min(patience_s, HURRY_S) if hurried() else patience_s
            if time.monotonic() - began_s >= allowed_s:
                return
            self.poll()
            time.sleep(LOOK_EVERY_S)
