"""A PostgreSQL of the tests' own: real, in a temporary folder, gone with the process that started it."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

PASSWORD = "s3cret of/the:tests@ü"

# Becomes another user where it is root, whom PostgreSQL refuses, and ends when the tests do, however they end.
_AS_USER = """
import ctypes, os, sys
user, group, parent = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
if parent:
    ctypes.CDLL(None).prctl(1, 3)  # PR_SET_PDEATHSIG, SIGQUIT: PostgreSQL's immediate shutdown
    if os.getppid() != parent:
        os._exit(1)
os.chdir("/")
os.execv(sys.argv[4], sys.argv[4:])
"""


def missing():
    """Return why no server can be started, or None."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "no psycopg: pip install 'kernel-workbench[postgres]'"
    return None if _binaries() is not None else "no PostgreSQL: apt install postgresql"


def _binaries():
    """Return the folder of initdb and postgres: on the PATH, else the newest of Debian's."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    folders = [file.parent for file in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


class Server:
    """A running server. Use it in a ``with`` block."""

    def __init__(self):
        self._user = self._unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="wb-pg-", dir="/tmp"))  # a socket's path has at most 107 bytes
        os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self._databases = 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process = None

    def __enter__(self):
        try:
            self._make()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error):
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # a shutdown that waits for no client
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def database(self, *, encoding="UTF8"):
        """Make an empty database; return its URL."""
        self._databases += 1
        name = f"store{self._databases}"
        self.run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING {encoding}")
        return self.url(name)

    def url(self, database, *, user="workbench", password=PASSWORD, port=None):
        """Return an address of the server by TCP."""
        return f"postgresql+psycopg://{user}:{quote(password, safe='')}@127.0.0.1:{port or self.port}/{database}"

    def run(self, statement, database="postgres"):
        """Run one statement as the one who may do everything; return the rows."""
        import psycopg

        with psycopg.connect(**self._address(database), autocommit=True) as connection:
            answer = connection.execute(statement)
            return answer.fetchall() if answer.description else []

    def _address(self, database):
        return {"host": "127.0.0.1", "port": self.port, "user": "workbench", "password": PASSWORD, "dbname": database}

    def _unprivileged(self):
        if os.geteuid() != 0:
            return pwd.getpwuid(os.geteuid())
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                return pwd.getpwnam(name)
        raise RuntimeError("PostgreSQL does not run as root, and there is no user postgres or nobody")

    def _command(self, name, *words, parent):
        who = [str(self._user.pw_uid), str(self._user.pw_gid), str(parent)]
        return [sys.executable, "-I", "-S", "-c", _AS_USER, *who, str(_binaries() / name), *words]

    def _make(self):
        word = self._folder / "password"
        word.write_text(PASSWORD)
        os.chown(word, self._user.pw_uid, self._user.pw_gid)
        options = ["-U", "workbench", "-A", "scram-sha-256", "--pwfile", str(word), "--no-sync", "-E", "UTF8"]
        command = self._command("initdb", "-D", str(self._folder / "data"), "--locale=C", *options, parent=0)
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr

    def _start(self):
        import psycopg

        # What a crash of the machine would cost is no matter here: nothing is flushed to the disk.
        settings = {
            "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": self._folder,
            "fsync": "off", "shared_buffers": "16MB", "max_connections": "20", "logging_collector": "off",
        }  # fmt: skip
        words = [f"--{name}={value}" for name, value in settings.items()]
        command = self._command("postgres", "-D", str(self._folder / "data"), *words, parent=os.getpid())
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(**self._address("postgres")).close()
                return
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL did not start in 120 s"
            time.sleep(0.05)
