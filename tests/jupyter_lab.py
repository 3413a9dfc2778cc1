"""A JupyterLab of one's own for browser tests: isolated from the person's settings, offline, ended at the end."""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request

import pytest

CHROMIUM = shutil.which("chromium")
LONG_MS = 240_000  # how long to wait for a state that comes on an idle machine within seconds
NO_NEWS = """{"fetchNews": "false", "checkForUpdates": false}"""
ISOLATED = (
    "HOME",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "IPYTHONDIR",
    "JUPYTERLAB_SETTINGS_DIR",
    "JUPYTERLAB_WORKSPACES_DIR",
)


@contextlib.contextmanager
def chromium():
    """Open a headless Chromium that resolves no name, or skip where there is none."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    options = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=options, timeout=LONG_MS)
        try:
            yield opened
        finally:
            opened.close()


@contextlib.contextmanager
def lab_server(folder):
    """Serve the notebooks in `folder`; gives ``(address, token)``. Compiled code stays in the cache of the tests."""
    token = secrets.token_hex(8)
    home = folder / ".isolated"
    environment = {**os.environ, **{name: str(home / name.lower()) for name in ISOLATED}}
    environment.setdefault("WORKBENCH_CACHE", os.path.expanduser("~/.cache/kernel-workbench"))
    settings = home / "jupyterlab_settings_dir" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(NO_NEWS)
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"),
        *("--ServerApp.port=20000", "--ServerApp.port_retries=500", f"--IdentityProvider.token={token}"),
        *(f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True"),
    ]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        address = _wait_until_it_answers(server, home / "jupyter_runtime_dir", token)
        yield address, token
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_until_it_answers(server, runtime, token):
    """Return the address, with the port that the server found free and noted in its runtime folder."""
    end = time.monotonic() + 240
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError):  # not there, or not whole yet
            address = f"http://127.0.0.1:{json.loads((runtime / f'jpserver-{server.pid}.json').read_text())['port']}"
            with urllib.request.urlopen(f"{address}/api/status?token={token}", timeout=30):
                return address
        assert server.poll() is None, "JupyterLab ended"
        assert time.monotonic() < end, "JupyterLab did not answer within four minutes"
        time.sleep(0.2)


def open_notebook(browser, address, token, name, scheme="light"):
    """Open a notebook and wait until its Jupyter kernel is idle; returns the page and the requests that left it."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 1000})
    outside = []

    def guard(route):
        if route.request.url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context.route("**/*", guard)
    context.set_default_timeout(LONG_MS)
    page = context.new_page()
    page.goto(f"{address}/lab/tree/{name}?token={token}&reset")
    page.wait_for_function("() => window.jupyterapp", timeout=LONG_MS)
    page.evaluate("() => window.jupyterapp.restored.then(() => true)")
    page.wait_for_function(
        """() => {
          const session = window.jupyterapp.shell.currentWidget?.context?.sessionContext;
          return session?.session?.kernel?.status === "idle";
        }""",
        timeout=LONG_MS,
    )
    return page, outside


def run_all(page):
    """Run all cells, save, and return whether all of them ended well."""
    page.evaluate("() => { window.cellsRan = undefined; }")
    page.evaluate(
        """() => { window.jupyterapp.commands.execute("notebook:run-all-cells").then((ok) => {
          window.cellsRan = ok === undefined ? true : ok; }); }"""
    )
    page.wait_for_function("() => window.cellsRan !== undefined", timeout=LONG_MS)
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    return page.evaluate("() => window.cellsRan")
