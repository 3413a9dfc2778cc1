"""What threads wait in is seen while they wait, and nothing is seen of those that were there before."""

import threading
import time

from workbench.profile.system_calls import wait_shares
from workbench.profile.waits import RUNNING, call_name, sampled_waits


def test_names_of_calls():
    assert call_name("202 0x1 0x2 0x3", "x86_64") == "futex" and call_name("98 0x1", "aarch64") == "futex"
    assert call_name("running\n", "x86_64") == RUNNING and call_name("-1 0x7f 0x7f", "x86_64") == RUNNING
    assert call_name("9999 0x0", "x86_64") == "system call 9999" and call_name("", "x86_64") == RUNNING


def test_a_sleeping_thread_is_seen_in_its_call():
    old = threading.Event()
    bystander = threading.Thread(target=old.wait)
    bystander.start()
    with sampled_waits(new_threads=True) as seen:
        sleeper = threading.Thread(target=time.sleep, args=(0.2,))
        sleeper.start()
        sleeper.join()
    old.set()
    bystander.join()
    sleeping = sum(count for name, count in seen.items() if name in ("clock_nanosleep", "select", "pselect6"))
    assert sleeping > 0.8 * seen.total() > 0, seen


def test_shares_of_looks():
    shares = wait_shares({"running": 6, "futex": 3, "system call 9": 1})
    assert shares == {"waiting_in_futex_share": 0.3, "waiting_in_system_call_9_share": 0.1, "looks": 10.0}
    assert wait_shares({}) == {}
