"""A user's functions that were declared as variants are profiled as what they are: functions with their arguments."""

from pathlib import Path

import pytest

from workbench.errors import InputError
from workbench.own.files import plain_name
from workbench.profile import callgrind, memory_job, system
from workbench.profile.cache import profile_cache
from workbench.profile.memory_subject import subject_of
from workbench.profile.profile import Profile
from workbench.profile.target import _variant, own_call

FILE = Path(__file__).with_name("vwap_of_a_user.py")


@pytest.fixture(scope="module", autouse=True)
def known():
    plain_name(f"{FILE}:user_vwap")


def test_the_function_and_its_arguments_are_found():
    function, (prices, volumes) = own_call(_variant("user_vwap/fast", ()), None, {"size": 300})
    assert function.targetoptions.get("fastmath") and len(prices) == len(volumes) == 300
    with pytest.raises(InputError, match="bring their own arguments"):
        own_call(_variant("user_vwap/fast", ()), "synthetic", {})


@pytest.mark.parametrize("variant", ["baseline", "fast"], ids=["whose name another has now", "of a module"])
def test_a_system_profile_runs_it_in_another_process(variant):
    profile = system.profile_system(
        f"{FILE}:user_vwap/{variant}", size=200, seconds=0.02, trace=False, jitter_seconds=0
    )
    assert profile.title == f"user_vwap/{variant}"
    assert profile.measured[system.RUN]["operations"] > 1
    assert profile.badges


@pytest.mark.parametrize("variant", ["baseline", "fast", "plain"])
def test_a_memory_profile_takes_it_to_another_process(variant, tmp_path):
    asked = memory_job.asked_of(f"{FILE}:user_vwap/{variant}", size=200)
    assert asked.job.title == f"user_vwap/{variant}"
    assert asked.job.python_objects is (variant == "plain")
    asked.write(tmp_path)
    assert 100 < subject_of(asked.job, tmp_path).run() < 101


def test_a_cache_profile_simulates_the_function_itself(monkeypatch):
    seen = []
    monkeypatch.setattr(callgrind, "profile_call", lambda *given, keep: seen.append(given) or Profile("vwap", "cache"))
    assert profile_cache("user_vwap", "fast", size=200).title == "user_vwap/fast"
    ((function, prices, _),) = seen
    assert function.targetoptions.get("fastmath") and len(prices) == 200
    with pytest.raises(InputError, match="not compiled by Numba: callgrind"):
        profile_cache("user_vwap", "plain")


def test_what_is_not_compiled_is_refused_by_a_system_profile():
    with pytest.raises(InputError, match=r"compiled with numba\.njit can be watched, not a function"):
        system.profile_system("user_vwap", "plain", jitter_seconds=0)
