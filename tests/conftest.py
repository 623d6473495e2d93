"""What all tests share: those that need netlab are skipped where it can't work, and named at the end; no
property depends on how fast the machine is, and nothing on how the tests were started."""

import signal

import pytest
from hypothesis import HealthCheck, settings
from laboratory.star.namespaces import why_not

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("any machine"), max_examples=25)
settings.load_profile("any machine")


def pytest_configure() -> None:
    """A shell lets what it starts in the background ignore Ctrl-C, and so would all that the tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    needy = [item for item in items if item.get_closest_marker("netlab") is not None]
    if needy and (reason := why_not()) is not None:
        for item in needy:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Print after everything else. Reports, unlike items, come back from pytest-xdist's workers too."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    skipped = [report for report in reporter.stats.get("skipped", ()) if "netlab" in report.keywords]
    if skipped:
        reason = skipped[0].longrepr[2].removeprefix("Skipped: ")
        names = ", ".join(report.nodeid.rpartition("::")[2] for report in skipped)
        reporter.write_line(f"NOT RUN ({reason}): {names}")
