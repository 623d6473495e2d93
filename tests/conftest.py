"""Set-up shared by all tests: hypothesis settings, and skipping of netlab tests where netlab can't work.

Skipped netlab tests are listed at the end. No property test has a time limit, and Ctrl-C works however the
tests were started.
"""

import signal

import pytest
from hypothesis import HealthCheck, settings
from laboratory.star.namespaces import why_not

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("any machine"), max_examples=25)
settings.load_profile("any machine")


def pytest_configure() -> None:
    """Make Ctrl-C work in the tests' processes. A shell makes programs in the background ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    needy = [item for item in items if item.get_closest_marker("netlab") is not None]
    if needy and (reason := why_not()) is not None:
        for item in needy:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """List the skipped netlab tests after all other output.

    It uses reports, because pytest-xdist's workers return reports but no items.
    """
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    skipped = [report for report in reporter.stats.get("skipped", ()) if "netlab" in report.keywords]
    if skipped:
        reason = skipped[0].longrepr[2].removeprefix("Skipped: ")
        names = ", ".join(report.nodeid.rpartition("::")[2] for report in skipped)
        reporter.write_line(f"NOT RUN ({reason}): {names}")
