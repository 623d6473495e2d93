"""Holdings in few words: a release of Sonic Pi and the exceptions from it, instead of a list of all files.

Pure.
"""

from collections.abc import Collection

from relay.wire.control.stock import Holdings
from relay.wire.stock import RELEASES, StockFile, files_of, stock_file


def described(have: Collection[StockFile]) -> Holdings:
    """Return the holdings that name these files with the fewest entries."""
    files = frozenset(have)
    release = max(RELEASES, key=lambda one: 2 * len(files & _FILES[one]) - len(_FILES[one]))
    whole = _FILES[release]
    if len(files ^ whole) > len(files):
        release, whole = "", frozenset()
    return Holdings(
        release=release,
        without=sorted(one.name for one in whole - files),
        besides=sorted((one.name, one.sha256) for one in files - whole),
    )


def held(holdings: Holdings) -> frozenset[StockFile]:
    """Return the stock files that are named in `holdings`. Files that aren't on the shipped list are left
    out."""
    without = set(holdings.without)
    files = {one for one in _FILES.get(holdings.release, frozenset()) if one.name not in without}
    return frozenset(files | {file for one in holdings.besides if (file := stock_file(*one)) is not None})


_FILES = {release: frozenset(files_of(release)) for release in RELEASES}
