"""Paths of the repository's parts."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
VECTORS = ROOT / "tests" / "vectors"
