"""What the house around a measurement needs: compilers, notebooks, stores, other machines, data."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from workbench.abilities.ability import Ability, imported, program, tool, tried
from workbench.errors import InputError
from workbench.files import cache_folder, data_folder


def compiler() -> Ability:
    """The C++ compiler that builds the peers."""
    return program("C++ peers", "g++", "the peers in C++ are skipped by name", "g++")


def browser() -> Ability:
    """Chromium, for the tests of pages and widgets."""
    return program("browser tests", "chromium", "pages and widgets are tested without a browser")


def _folder(name: str, path: Path, variable: str, fallback: str) -> Ability:
    probe = path
    while not probe.exists() and probe != probe.parent:
        probe = probe.parent
    if probe.is_dir() and os.access(probe, os.W_OK):
        return Ability(name, True, f"{path} can be written")
    return Ability(name, False, f"{path} cannot be written", fallback, f"set {variable} to a folder of yours")


def code_cache() -> Ability:
    """The disk cache of compiled kernels."""
    return _folder("compiled code cache", cache_folder(), "WORKBENCH_CACHE", "every process compiles anew: slow starts")


def results_store() -> Ability:
    """Where results are kept."""
    name, variable, fallback = "results store", "WORKBENCH_HOME", "results are printed and not kept"
    try:
        return _folder(name, data_folder(), variable, fallback)
    except InputError:
        return Ability(name, False, "this user has no home folder", fallback, f"set {variable} to a folder of yours")


def import_names() -> Ability:
    """Another package on PyPI is called `kernels` too: notice when one shadows the other."""
    spec = importlib.util.find_spec("kernels")
    ours = Path(__file__).resolve().parents[2] / "kernels" / "__init__.py"
    if spec is not None and spec.origin is not None and Path(spec.origin).resolve() == ours:
        return Ability("import names", True, f"kernels is {ours.parent}")
    found = spec.origin if spec is not None else "nothing"
    return Ability(
        "import names",
        False,
        f"`import kernels` finds {found}, not ours",
        "none",
        "uninstall the other package `kernels`",
    )


def real_data() -> Ability:
    """Real market data for workloads and tests."""
    folder = os.environ.get("WORKBENCH_DATA", "")
    if folder and Path(folder).is_dir():
        return Ability("real market data", True, f"WORKBENCH_DATA is {folder}")
    reason = f"WORKBENCH_DATA is {folder}, which is no folder" if folder else "WORKBENCH_DATA is not set"
    return Ability(
        "real market data", False, reason, "the synthetic market", "set WORKBENCH_DATA to a folder of recordings"
    )


def notebooks() -> Ability:
    """Notebooks run by papermill: the package, and a Jupyter kernel of this Python."""
    name, fallback = "notebooks", "workbench run, compare and profile, which need no notebook"
    lacking = imported("papermill", "ipykernel", "nbconvert")
    if lacking:
        return Ability(name, False, lacking, fallback, "pip install --force-reinstall kernel-workbench")
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        specification = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        reason = "papermill is there, but no Jupyter kernel called python3"
        return Ability(name, False, reason, fallback, "python -m ipykernel install --sys-prefix")
    version = importlib.metadata.version("papermill")
    return Ability(name, True, f"papermill {version} starts the Jupyter kernel in {specification.resource_dir}")


def widgets() -> Ability:
    """JupyterLab with the extensions that draw our widgets and figures."""
    name, fallback = "JupyterLab widgets", "the static tables and figures that every widget leaves behind"
    lacking = imported("jupyterlab", "ipywidgets", "anywidget")
    if lacking:
        return Ability(name, False, lacking, fallback, "pip install --force-reinstall kernel-workbench")
    from jupyter_core.paths import jupyter_path

    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    wanted = {"@jupyter-widgets/jupyterlab-manager": "ipywidgets", "anywidget": "anywidget"}
    absent = [package for each, package in wanted.items() if not any((folder / each).is_dir() for folder in folders)]
    if absent:
        reason = f"JupyterLab does not find the extension of {' and '.join(absent)}"
        return Ability(name, False, reason, fallback, f"pip install --force-reinstall {' '.join(absent)}")
    return Ability(name, True, f"JupyterLab {importlib.metadata.version('jupyterlab')} finds both extensions")


def postgres() -> Ability:
    """A store that several machines share: the driver, and the server where WORKBENCH_STORE names one."""
    name, fallback = "shared store", "the SQLite store of this machine"
    try:
        import psycopg
    except ImportError as error:
        return Ability(name, False, str(error), fallback, "pip install 'kernel-workbench[postgres]'")
    url = os.environ.get("WORKBENCH_STORE", "")
    if not url.startswith("postgres"):
        return Ability(name, True, f"psycopg {psycopg.__version__} is there; WORKBENCH_STORE names no server")
    host = urlsplit(url).hostname or "this machine"  # never the whole address: it may hold a password
    try:
        # The address is SQLAlchemy's: its driver's name is no part of what psycopg reads.
        address = "postgresql://" + url.partition("://")[2]
        with contextlib.closing(psycopg.connect(address, connect_timeout=2)) as connection:
            version = connection.info.server_version // 10000
    except psycopg.Error as error:
        reason = f"PostgreSQL on {host} refuses: {str(error).strip().splitlines()[-1]}"
        return Ability(name, False, reason, "nothing: results are kept nowhere", "start it, or unset WORKBENCH_STORE")
    return Ability(name, True, f"PostgreSQL {version} on {host} answers")


def dask() -> Ability:
    """Batches on other machines."""
    name, fallback = "other machines", "workbench batch run on this machine, one job after the other"
    lacking = imported("dask", "distributed")
    if lacking:
        return Ability(name, False, lacking, fallback, "pip install 'kernel-workbench[distributed]'")
    return Ability(name, True, f"Dask {importlib.metadata.version('distributed')} is there")


_KERNEL = """
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3", startup_timeout=100)
client.execute_interactive("%load_ext workbench", timeout=100)
client.stop_channels(); manager.shutdown_kernel(now=True)
"""
_CLUSTER = """
from distributed import Client
with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
    assert client.submit(sum, (1, 2)).result(50) == 3
"""


def try_notebooks() -> Ability:
    """Start a Jupyter kernel and load the magics in it."""
    found = notebooks()
    if not found.works:
        return found
    failure = tried([sys.executable, "-c", _KERNEL], patience_s=120)
    if failure:
        return Ability(found.name, False, f"a Jupyter kernel did not run: {failure}", "workbench run and profile")
    return Ability(found.name, True, f"{found.reason}; one was started and knows the magics")


def try_dask() -> Ability:
    """Start a worker and let it add two numbers."""
    found = dask()
    if not found.works:
        return found
    failure = tried([sys.executable, "-c", _CLUSTER], patience_s=120)
    if failure:
        return Ability(found.name, False, f"a worker did not run: {failure}", "workbench batch run on this machine")
    return Ability(found.name, True, f"{found.reason}; a worker was started and answered")


def try_browser() -> Ability:
    """Let Chromium draw a page."""
    found = browser()
    if not found.works:
        return found
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=100", "--dump-dom"]
    failure = tried([tool("chromium"), *flags, "data:text/html,<p>here"], patience_s=30)
    if failure:
        return Ability(found.name, False, f"chromium draws no page: {failure}", "pages are not looked at")
    return Ability(found.name, True, f"{found.reason} and draws a page")
