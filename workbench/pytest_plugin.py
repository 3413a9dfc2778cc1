"""The pytest plugin: a fixture ``performance`` that measures functions, and fails a test only when one got slower.

    def test_my_function(performance):
        performance(my_function, prices, volumes)             # against this test's saved baseline
        performance.compare(old_function, my_function, prices, volumes)

It is loaded in every test run of whoever has installed the workbench, so it imports pytest and nothing else; NumPy,
Numba and the rest of the workbench come when a test first uses the fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from workbench.testing.performance import Performance
    from workbench.testing.settings import Line

PROPERTY = "performance"  # the name under which a test's report carries its lines, also to junitxml


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("performance", "performance (kernel-workbench)")
    group.addoption("--performance-skip", action="store_true", help="Skip the tests that measure.")
    group.addoption("--performance-save", action="store_true", help="Measure anew and save that as the baseline.")
    group.addoption(
        "--performance-against",
        metavar="REV",
        help="Judge against a git revision, measured in turns with the working tree, instead of the saved baseline.",
    )
    group.addoption(
        "--performance-threshold", type=float, metavar="PERCENT", help="The change of the mean that counts. [3]"
    )
    group.addoption("--performance-strict", action="store_true", help="Fail also when the verdict is not clear.")
    group.addoption("--performance-seconds", type=float, metavar="S", help="Time measured for each comparison. [6]")
    group.addoption("--performance-replicates", type=int, metavar="N", help="Fresh processes for each. [6]")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse options that mean nothing, before any test runs."""
    threshold = config.getoption("--performance-threshold")
    if threshold is not None and not 0 < threshold < 1000:
        told = f"{threshold:g} is no change in percent: give more than 0 and less than 1000"
        raise pytest.UsageError(f"--performance-threshold {told}")
    seconds, replicates = config.getoption("--performance-seconds"), config.getoption("--performance-replicates")
    if seconds is not None and not 0 < seconds < 86_400:
        raise pytest.UsageError(f"--performance-seconds {seconds:g} is no time to measure: give more than 0")
    if replicates is not None and replicates < 1:
        raise pytest.UsageError(f"--performance-replicates {replicates} measures nothing: give 1 or more")
    if config.getoption("--performance-save") and config.getoption("--performance-against"):
        raise pytest.UsageError("--performance-save and --performance-against exclude each other: give one")


@pytest.fixture
def performance(request: pytest.FixtureRequest) -> Performance:
    """Measure functions in fresh processes: ``performance(f, x)`` or ``performance.compare(old, new, x)``."""
    option = request.config.getoption
    if option("--performance-skip"):
        pytest.skip("--performance-skip: nothing is measured")
    from workbench.testing.performance import Performance
    from workbench.testing.settings import Settings

    threshold = option("--performance-threshold")
    settings = Settings(
        project=request.config.rootpath.name,
        save=option("--performance-save"),
        against=option("--performance-against"),
        threshold=None if threshold is None else threshold / 100,
        strict=option("--performance-strict"),
        seconds=option("--performance-seconds"),
        replicates=option("--performance-replicates"),
    )

    def keep(line: Line) -> None:
        request.node.user_properties.append((PROPERTY, line.to_json()))

    return Performance(request.node.nodeid, getattr(request, "module", None), settings, keep, _teller(request.config))


def _teller(config: pytest.Config) -> Any:
    """Return a function that writes a line to the terminal at once; silent in an xdist worker, which has none."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    capture = config.pluginmanager.getplugin("capturemanager")

    def tell(text: str) -> None:
        if reporter is None or hasattr(config, "workerinput"):
            return
        if capture is None:
            reporter.write_line(text)
            return
        with capture.global_and_fixture_disabled():
            reporter.write_line("")
            reporter.write_line(f"performance: {text}")

    return tell


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what every measurement said, also those of xdist's workers."""
    told = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY
    ]
    if not told:
        return
    from workbench.testing.settings import Line, summary

    terminalreporter.section("performance")
    for row in summary([Line.from_json(value) for value in told]):
        terminalreporter.write_line(row)
