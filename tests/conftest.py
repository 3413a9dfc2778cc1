"""What all tests share: no test touches the home folder of the person who runs it."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REAL_DATA = Path(os.environ.get("WORKBENCH_DATA", "/nonexistent"))

# A slow or busy machine is no failure, and what fails, fails for everyone: the same examples each time. New ones are
# drawn by `pytest --hypothesis-profile=default`.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

# What a shell starts in the background ignores interrupts, and so would all that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _own_home(tmp_path_factory):
    """Keep results in a scratch folder. Compiled code stays in the real cache: compiling is most of the tests' time."""
    before = os.environ.get("WORKBENCH_HOME")
    os.environ["WORKBENCH_HOME"] = str(tmp_path_factory.mktemp("home"))
    yield
    if before is None:
        del os.environ["WORKBENCH_HOME"]
    else:
        os.environ["WORKBENCH_HOME"] = before


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real market data, or skip by name where there is none."""
    if not REAL_DATA.is_dir():
        pytest.skip("no real market data: WORKBENCH_DATA names no folder")
    return REAL_DATA
