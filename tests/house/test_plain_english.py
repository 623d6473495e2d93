"""Plain English in docstrings: short sentences, and none that begins with a free relative clause.

A sentence that begins with "What comes late ..." or "Who asks ..." hides its subject in a clause. "The late
event ..." doesn't. The check is crude: it finds some unclear docstrings, and can't tell that one is clear.
"""

import ast
import re
from collections.abc import Iterator

from tests.worlds.places import ROOT

FOLDERS = ("bridge", "clock", "relay", "scripts")
WORDS_MAX = 40
FREE_RELATIVES = ("What ", "Who ", "Whoever ", "Of none")

_END_OF_SENTENCE = re.compile(r"(?<=[.!?])[)\"]?\s+")


def docs(source: str) -> Iterator[str]:
    """Yield every docstring, and every string that stands below an attribute."""
    for node in ast.walk(ast.parse(source)):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


def sentences(doc: str) -> Iterator[str]:
    """Yield the sentences of a docstring. Indented blocks (tables, examples) are left out."""
    first, *lines = doc.splitlines() or [""]
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    text = [first] + ["" if line[margin:].startswith("    ") else line[margin:] for line in lines]
    for paragraph in re.split(r"\n\s*\n", "\n".join(text)):
        yield from filter(None, _END_OF_SENTENCE.split(" ".join(paragraph.split())))


def all_sentences() -> Iterator[tuple[str, str]]:
    """Yield (file, sentence) for every docstring of the product and its scripts."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for doc in docs(path.read_text("utf-8")):
                yield from ((str(path.relative_to(ROOT)), sentence) for sentence in sentences(doc))


def test_no_sentence_of_a_doc_begins_with_a_free_relative() -> None:
    assert [one for one in all_sentences() if one[1].startswith(FREE_RELATIVES)] == []


def test_no_sentence_of_a_doc_is_longer_than_forty_words() -> None:
    assert [one for one in all_sentences() if len(one[1].split()) > WORDS_MAX] == []


def test_a_sentence_is_found_wherever_it_stands_in_a_doc() -> None:
    doc = 'Return a thing. What else\n    there is.\n\n        What is indented\n\n    Who? "Both."\n    '
    assert list(sentences(doc)) == ["Return a thing.", "What else there is.", "Who?", '"Both."']
