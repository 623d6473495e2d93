"""Rehearsal: genuine Sonic Pi and scsynth, headless, and recorders that a bridge can't fool.

`stage` boots and ends the programs, `recorder` stands in front of scsynth, `recording` reads what it
wrote, `compare` proves sameness, `sound`, `livetake`, `offline` and `picture` make it heard and seen.
Nothing here imports `relay` or `bridge`: the proof shares no code with what it proves.
"""

from pathlib import Path

RECORDER = Path(__file__).resolve().parent / "rigs" / "recorder"
"""The recorder as a program, to be started in place of scsynth."""
