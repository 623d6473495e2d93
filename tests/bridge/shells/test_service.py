"""A shell that carries out a bridge's effects handles every kind; mypy reports a missing one."""

import ast
from pathlib import Path
from typing import get_args

import pytest
from mypy import api

from bridge.effects import Effect
from tests.worlds.places import ROOT

pytestmark = pytest.mark.computes

SHELLS = ("bridge/shells/service.py", "scripts/laboratory/virtual/shell.py")
EFFECTS = {effect.__name__ for effect in get_args(Effect)}


def cases_of(source: str) -> dict[str, ast.match_case]:
    """Return effect -> its case, from the match over a bridge's effects. A case may be that of several
    effects."""
    return {
        pattern.cls.attr: case
        for match in ast.walk(ast.parse(source))
        if isinstance(match, ast.Match)
        for case in match.cases
        for pattern in _alternatives(case)
        if isinstance(pattern, ast.MatchClass)
        and isinstance(pattern.cls, ast.Attribute)
        and ast.unparse(pattern.cls).startswith("effects.")
    }


def _alternatives(case: ast.match_case) -> list[ast.pattern]:
    return case.pattern.patterns if isinstance(case.pattern, ast.MatchOr) else [case.pattern]


def without(source: str, name: str, case: ast.match_case) -> str:
    """Return the source without the case of an effect. If other effects share the case, they keep it."""
    lines = source.splitlines()
    before, after = lines[: case.pattern.lineno - 1], lines[case.body[-1].end_lineno :]
    others = [
        ast.unparse(one) for one in _alternatives(case) if not ast.unparse(one).startswith(f"effects.{name}(")
    ]
    kept = []
    if others:
        first = f"{' ' * (case.body[0].col_offset - 4)}case {' | '.join(others)}:"
        kept = [first, *lines[case.body[0].lineno - 1 : case.body[-1].end_lineno]]
    return "\n".join([*before, *kept, *after]) + "\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_mypy_misses_the_case_of_any_effect_that_is_taken_out_of_a_shell(shell: str, tmp_path: Path) -> None:
    source = (ROOT / shell).read_text("utf-8")
    cases = cases_of(source)
    assert cases.keys() == EFFECTS
    (tmp_path / "whole.py").write_text(source)
    for name, case in cases.items():
        (tmp_path / f"without_{name}.py").write_text(without(source, name, case))
    found, trouble, _ = api.run(
        [
            "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(tmp_path / "cache"),
            *map(str, sorted(tmp_path.glob("*.py"))),
        ]
    )  # fmt: skip
    assert trouble == ""
    errors = [line for line in found.splitlines() if ": error: " in line]
    missed = {Path(line.partition(":")[0]).stem for line in errors if '"assert_never"' in line}
    assert missed == {f"without_{name}" for name in EFFECTS}, found
    assert len(errors) == len(EFFECTS), found


def test_the_service_stays_under_two_hundred_lines() -> None:
    assert len((ROOT / SHELLS[0]).read_text("utf-8").splitlines()) < 200, "who decides is a core"
