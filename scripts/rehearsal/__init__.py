"""Rehearsal: genuine Sonic Pi and scsynth, headless, and recorders that a bridge can't fool.

`rigs` starts and ends the programs, and records their messages, windows and sound. `proof` proves sameness
from the recordings. Nothing in `rigs` or `proof` imports `relay` or `bridge`: the proof shares no code with
the product that it proves.
"""

from pathlib import Path

RECORDER = Path(__file__).resolve().parent / "rigs" / "recorder"
"""Path of the recorder's program, which is started in place of scsynth."""
