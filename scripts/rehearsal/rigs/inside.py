"""PID 1 of a performer's namespaces: mounts private folders, starts jackd and Sonic Pi, and ends all
processes.

Standard library only. `performer` starts it inside `unshare --mount --pid --fork --kill-child`. Its stdin is
a pipe that the performer's owner holds open and never writes to. If the owner ends, even by SIGKILL, the pipe
ends too, and then this program. The kernel kills a PID namespace together with its PID 1, so no process
survives.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

JACK_READY_S = 10.0
END_GRACE_S = 1.0
"""Time (s) for processes to flush their files after SIGTERM, before the kernel kills the namespace."""
POLL_S = 0.1
PR_SET_PDEATHSIG = 1


def main() -> int:
    # Without this guard a mistake in the command line would let `kill(-1)` below hit the whole machine.
    if os.getpid() != 1:
        raise SystemExit("inside.py: must be PID 1 of its own namespace; it is started by stage.py")
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # as --kill-child does; older unshare forget it
    plan: dict[str, Any] = json.loads(sys.argv[1])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        for folder in plan["private"]:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", folder], check=True)
        jack = spawn(plan["jackd"], plan["jack_log"])
        wait_for_jack(jack, plan["jack_name"], Path(plan["jack_log"]))
        for command in plan["beside"]:
            spawn(command, plan["beside_log"])
        sonic_pi = spawn(plan["sonic_pi"], plan["server_log"])
        return wait_for_end(sonic_pi)
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        with open(plan["server_log"], "a", encoding="utf-8") as log:
            log.write(f"inside.py: {error}\n")
        return 1
    finally:
        end_all()


def spawn(command: list[str], log: str) -> "subprocess.Popen[bytes]":
    with open(log, "ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def wait_for_jack(jack: "subprocess.Popen[bytes]", name: str, log: Path) -> None:
    deadline_s = time.monotonic() + JACK_READY_S
    # The semaphore of its internal client `freewheel` is the last thing jackd 2 makes before it serves.
    while not list(Path("/dev/shm").glob(f"jack_sem.*_{name}_freewheel")):
        if jack.poll() is not None:
            raise RuntimeError(
                f"jackd ended with {jack.returncode}: {log.read_text(errors='replace')[-500:]}"
            )
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"jackd isn't ready after {JACK_READY_S:.0f} s, see {log}")
        time.sleep(0.02)


def wait_for_end(sonic_pi: "subprocess.Popen[bytes]") -> int:
    while sonic_pi.poll() is None:
        ready, _, _ = select.select([0], [], [], POLL_S)
        if ready and not os.read(0, 64):
            return 0  # the stage is gone, or has said goodbye
        reap_orphans(sonic_pi.pid)
    return sonic_pi.returncode


def reap_orphans(but: int) -> None:
    """Reap ended processes whose parent is PID 1.

    but: pid of Sonic Pi, which is left alone: its Popen reads its exit status.
    """
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid == but:
            return
        os.waitpid(ended.si_pid, 0)


def end_all() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    try:
        os.kill(-1, signal.SIGTERM)  # everything in this namespace but ourselves
    except ProcessLookupError:
        return
    deadline_s = time.monotonic() + END_GRACE_S
    while time.monotonic() < deadline_s:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(main())
