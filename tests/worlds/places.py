"""Paths of the repository's folders."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
VECTORS = ROOT / "tests" / "vectors"
