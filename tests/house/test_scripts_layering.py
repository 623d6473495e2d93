"""The scripts' modules: no circular imports, none over 400 lines, no product code in the rehearsal."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.worlds.places import SCRIPTS

SOURCES = {
    ".".join(path.relative_to(SCRIPTS).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("laboratory", "rehearsal")
    for path in (SCRIPTS / package).rglob("*.py")
}
SPEAKS_THE_PROTOCOL = {
    "rehearsal.cost.bench",
    "rehearsal.cost.relaybench",
    "rehearsal.cost.relaycore",
    "rehearsal.cost.relayload",
    "rehearsal.cost.relaymember",
}
"""The only modules of `rehearsal` that may use the jam's protocol: they act as members themselves."""


def imports_of(path: Path) -> set[str]:
    """Return the modules that a file imports anywhere in its source, even only for type checking."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & SOURCES.keys()) or {node.module}
    return found


def test_no_script_is_in_a_circle_of_imports() -> None:
    sorter = TopologicalSorter({name: imports_of(path) & SOURCES.keys() for name, path in SOURCES.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


@pytest.mark.parametrize("name", sorted(name for name in SOURCES if name.startswith("rehearsal")))
def test_the_proof_shares_no_code_with_what_it_proves(name: str) -> None:
    roots = {imported.partition(".")[0] for imported in imports_of(SOURCES[name])}
    assert roots & {"relay", "bridge", "clock", "laboratory"} <= (
        {"relay"} if name in SPEAKS_THE_PROTOCOL else set()
    )


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_no_script_outgrows_400_lines(name: str) -> None:
    assert len(SOURCES[name].read_text("utf-8").splitlines()) <= 400
