"""Makes synthdefs that count as a player's own: copies of stock ones under other names.

A file of one synthdef has these parts: "SCgf", version (4 bytes), count (2), length of the name (1), name.
"""

from pathlib import Path

from rehearsal.proof.offline import SYNTHDEFS

NAME_AT = 10


def write(folder: Path, **stock_by_name: str) -> Path:
    """Write copies of stock synthdefs into a folder for `load_synthdefs`, and return the folder.

    stock_by_name: new name -> stock synthdef.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, stock in stock_by_name.items():
        compiled = (SYNTHDEFS / f"{stock}.scsyndef").read_bytes()
        rest = compiled[NAME_AT + 1 + compiled[NAME_AT] :]
        named = compiled[:NAME_AT] + bytes([len(name)]) + name.encode() + rest
        (folder / f"{name}.scsyndef").write_bytes(named)
    return folder
