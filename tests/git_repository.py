"""A git repository with a user's kernel in some commits: one makes a variant slower, one does not even parse."""

import subprocess
from pathlib import Path

import numpy as np

from kernels.messages import EVENT, Kind

_CARD = '''"""A kernel as a user keeps it in a repository."""

import numpy as np

from kernels import Kernel

KERNEL = Kernel(
    name="kept",
    title="Running sum of sizes",
    card="For tests.",
    operations={"event": "one size added"},
    counters={},
    invariants=(),
    parameters=(),
    package=__name__,
    reference=None,
    prepare=lambda events, parameters: np.ascontiguousarray(events["size"]).astype(np.int64),
    parameters_for=lambda events: {},
    output=lambda sizes, parameters: np.zeros(1, np.int64),
    length=len,
    count_operations=lambda sizes: OPERATIONS * len(sizes),
)
'''
_VARIANT = """from kernels._jit import kernel_jit
from kernels.catalog import Variant


@kernel_jit
def replay_from(state, sizes, out, begin, probe):
    for i in range(begin, len(sizes)):
        for _ in range(ROUNDS):
            state[0] = (state[0] * 3 + sizes[i]) ^ i
    out[0] = state[0]
    return len(sizes)


VARIANT = Variant("NAME", PARENT, "adds", lambda parameters: np.zeros(1, np.int64), lambda state: None, replay_from)
"""


def variant(name, rounds=4):
    parent = "None" if name == "steady" else '"steady"'
    text = _VARIANT.replace("NAME", name).replace("ROUNDS", str(rounds)).replace("PARENT", parent)
    return "import numpy as np\n\n" + text


def card(operations=1):
    return _CARD.replace("OPERATIONS", str(operations))


def git(folder, *words):
    done = subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def write(folder, files):
    for name, text in files.items():
        place = Path(folder) / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


COMMITS = (
    ("nothing yet", {"README": "to come\n"}),
    ("the kernel", {"src/kept/__init__.py": card(), "src/kept/steady.py": variant("steady", 1)}),
    ("a second variant", {"src/kept/moving.py": variant("moving")}),
    ("a comment", {"src/kept/moving.py": variant("moving") + "# the same code\n"}),
    ("eight times the work", {"src/kept/moving.py": variant("moving", 32) + "# the same code\n"}),
    ("half a thought", {"src/kept/moving.py": "def (\n"}),
    ("mended", {"src/kept/moving.py": variant("moving", 32)}),
    ("other operations", {"src/kept/__init__.py": card(2)}),
)


def make_repository(folder):
    """Make the repository, with a tag ``cN`` on each of `COMMITS`; return its folder."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=trunk")
    git(folder, "config", "user.name", "Nobody")
    git(folder, "config", "user.email", "nobody@example.org")
    for number, (subject, files) in enumerate(COMMITS):
        write(folder, files)
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", subject)
        git(folder, "tag", f"c{number}")
    return folder


def write_events(path, number=3000):
    events = np.zeros(number, EVENT)
    events["kind"], events["price_ticks"], events["size"] = Kind.ADD, 100, 5
    events["order_id"] = np.arange(1, number + 1)
    np.save(path, events)
    return path
