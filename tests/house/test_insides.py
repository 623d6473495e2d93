"""The modules that join other parts stay small, and use the parts' methods without reaching into a part.

Checked in the source, with ast. Exceptions are listed here with their reason and may not grow.
"""

import ast
from collections.abc import Iterator

import pytest

from tests.house.test_layering import IMPORTS, SOURCES, ours, within

SCOPE = ("bridge.core", "bridge.playout", "bridge.session", "bridge.tap")
"""Modules in which chains of attributes are checked. A package stands for all its modules."""
SIZED = (*SCOPE, "relay.hub", "relay.room", "relay.stats")
"""Modules whose classes' attributes and whose imports are counted."""
MOST = 12
"""Greatest number of attributes of a class, and of our own modules that a module imports."""

ATTRIBUTES = {
    "bridge.playout.second_reports.SecondsLedger": (
        19, "the book of a report: an attribute for each figure, and for how far the reports have come",
    ),
    "bridge.playout.delivery.Delivery": (13, "one decision on an event: an attribute for each of its parts"),
    "bridge.playout.playout.Playout": (13, "the face: an attribute for each part that it makes"),
    "relay.room.channel.Channel": (19, "a connection's facts: keys, limits, outbox, gaps, usual delays"),
    "relay.room.seat.Seat": (14, "a member's plain facts, which the room's parts read and set"),
}  # fmt: skip
IMPORTED = {
    "bridge.core": (22, "the one place where a bridge's parts are put together"),
    "bridge.session.session": (23, "the face: it alone makes the parts of a session"),
    "bridge.session.arrivals": (
        15,
        "an event on its way: numbers, clock, playout, live state, ledger, memory",
    ),
    "bridge.session.emission": (
        13,
        "a message on its way: stamp, number, playout, ledger, memory",
    ),
    "bridge.session.conversation": (15, "one message of the relay concerns each part of a session"),
    "bridge.playout.playout": (
        24,
        "the face: it alone makes the parts, and names whatever passes through it",
    ),
    "bridge.playout.delivery": (
        14,
        "one decision on an event, in which each part has its say, in this order",
    ),
    "bridge.playout.live_music": (
        20,
        "joins what must be built with what builds, loads, checks and counts it",
    ),
    "bridge.playout.loads": (14, "a note and its files: buffers, what began, what is missing, what is told"),
    "bridge.tap.tap": (15, "the face: it walks, finds the meaning and tells who takes it"),
    "bridge.tap.music": (
        14,
        "one message on its way: what stands for it, its numbers, its replies, the room",
    ),
    "relay.hub.hub": (21, "the face: it joins the parts of a relay, and names whatever passes through it"),
    "relay.room.room": (14, "the face of a room: it makes the parts, and calls the facets"),
}
CHAINS: dict[str, str] = {}
"""Chains that are allowed although they reach too far: "module: chain" -> reason."""
VALUES = {"meaning", "message", "command"}
"""Names of attributes that hold plain values. Reading a value's fields doesn't count as reaching through."""
CONTAINER = {"add", "append", "extend", "get", "items", "keys", "pop", "update", "values"}
"""Methods of lists, sets and dicts. Calling one on a record's field doesn't count as reaching through."""

MODULES = sorted(module for module in SOURCES if within(module, *SCOPE))
COUNTED = sorted(module for module in SOURCES if within(module, *SIZED))


def tree_of(module: str) -> ast.Module:
    return ast.parse(SOURCES[module].read_text("utf-8"))


def attributes(owner: ast.ClassDef) -> set[str]:
    """Return the names of a class's attributes: its fields, and all that its methods assign to self."""
    fields = {
        node.target.id
        for node in owner.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    put = {
        node.attr
        for node in ast.walk(owner)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _name(node.value) == "self"
    }
    return (fields | put) - {node.name for node in owner.body if isinstance(node, ast.FunctionDef)}


def chains(tree: ast.Module) -> Iterator[str]:
    """Yield the attribute chains that reach through an object into its parts: self.a.b.c, a.b.c, a._b.

    Chains that begin with a module or class, or that lead through a value, are left out.
    """
    known = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            known |= {alias.asname or alias.name for alias in node.names}
    scopes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda)]
    for scope in scopes:
        given = _given(scope.args)
        for node in ast.walk(scope):
            steps = _steps(node)
            if len(steps) < 2 or steps[0] in known:
                continue
            root, *path = steps
            if root == "self":
                path = path[1:]
            elif root not in given and path[-1] in CONTAINER:
                path = path[:-1]
            through = [step for step in path[:-1] if step not in VALUES]
            if through or any(step.startswith("_") and not step.startswith("__") for step in path):
                yield ".".join(steps)


def _given(arguments: ast.arguments) -> set[str]:
    """Return the names of a function's parameters."""
    return {argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}


def _steps(node: ast.AST) -> list[str]:
    """Return the names in a chain such as a.b.c; [] if the chain doesn't begin with a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("module", COUNTED)
def test_no_class_keeps_more_than_twelve_things_without_a_reason(module: str) -> None:
    for owner in (node for node in ast.walk(tree_of(module)) if isinstance(node, ast.ClassDef)):
        most, why = ATTRIBUTES.get(f"{module}.{owner.name}", (MOST, "as everywhere"))
        kept = attributes(owner)
        assert len(kept) <= most, f"{owner.name}: {len(kept)}, {most} {why}: {sorted(kept)}"


@pytest.mark.parametrize("module", COUNTED)
def test_no_module_imports_more_than_twelve_of_ours_without_a_reason(module: str) -> None:
    most, why = IMPORTED.get(module, (MOST, "as everywhere"))
    imported = ours(IMPORTS[module])
    assert len(imported) <= most, f"{len(imported)}, {most} {why}: {sorted(imported)}"


@pytest.mark.parametrize("module", MODULES)
def test_nothing_reaches_through_a_part_into_its_parts(module: str) -> None:
    found = {chain for chain in chains(tree_of(module)) if f"{module}: {chain}" not in CHAINS}
    assert found == set()


def test_every_exception_is_needed_as_far_as_it_goes() -> None:
    kept = {
        f"{module}.{owner.name}": len(attributes(owner))
        for module in COUNTED
        for owner in ast.walk(tree_of(module))
        if isinstance(owner, ast.ClassDef)
    }
    assert {name: kept[name] for name in ATTRIBUTES} == {name: most for name, (most, _) in ATTRIBUTES.items()}
    imported = {module: len(ours(IMPORTS[module])) for module in IMPORTED}
    assert imported == {module: most for module, (most, _) in IMPORTED.items()}
    reached = {f"{module}: {chain}" for module in MODULES for chain in chains(tree_of(module))}
    assert CHAINS.keys() <= reached


@pytest.mark.parametrize(
    ("arguments", "line"),
    [("self", "self.a.b.c()"), ("x", "x.a.b"), ("x", "x.a.append(1)"), ("x", "x._a"), ("self", "self.a._b")],
)
def test_a_chain_is_seen(arguments: str, line: str) -> None:
    assert list(chains(ast.parse(f"def f({arguments}): {line}")))


@pytest.mark.parametrize(
    "line",
    [
        *("def f(self): self.a.b()", "def f(x): x.a()", "import x\ndef f(): x.a.b", "def f(): x.a.append(1)"),
        *("def f(held): held.meaning.is_note", "def f(self): self._held.meaning.message.args"),
    ],
)
def test_what_asks_a_part_or_reads_a_value_is_no_chain(line: str) -> None:
    assert list(chains(ast.parse(line))) == []
