"""Synthdefs of one's own for the tests: stock ones of Sonic Pi under other names.

The name stands first in a file of one synthdef: "SCgf", version (4 bytes), count (2), then its length (1) and
the name itself.
"""

from pathlib import Path

from rehearsal.proof.offline import SYNTHDEFS

NAME_AT = 10


def write(folder: Path, **stock_by_name: str) -> Path:
    """Write name=stock synthdefs into a folder that `load_synthdefs` can be given, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, stock in stock_by_name.items():
        compiled = (SYNTHDEFS / f"{stock}.scsyndef").read_bytes()
        rest = compiled[NAME_AT + 1 + compiled[NAME_AT] :]
        named = compiled[:NAME_AT] + bytes([len(name)]) + name.encode() + rest
        (folder / f"{name}.scsyndef").write_bytes(named)
    return folder
