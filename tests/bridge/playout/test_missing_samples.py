"""Samples of other members that this host can't load: counted by name, each reported once, up to a limit."""

from bridge.playout.missing_samples import NAMES_MAX, TOLD_MAX, Absent


def test_names_are_counted_each_and_told_once() -> None:
    absent = Absent()
    for name in ("samples/a.flac", "samples/b.flac", "samples/a.flac"):
        absent.note(name)
    assert absent.by_name == {"samples/a.flac": 2, "samples/b.flac": 1}
    assert [tell.text.split()[0] for tell in absent.news()] == ["samples/a.flac", "samples/b.flac"]
    assert absent.news() == []


def test_who_names_ever_new_files_fills_neither_memory_nor_screen() -> None:
    absent = Absent()
    for number in range(NAMES_MAX + 100):
        absent.note(f"samples/{number}.flac")
    assert len(absent.by_name) == NAMES_MAX
    assert len(absent.news()) == TOLD_MAX
