"""Ten functions with one planted fault each are told, on the line; ten clean ones are not."""

import importlib.util
import inspect
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from workbench.errors import InputError
from workbench.profile.diagnosis import diagnose
from workbench.profile.diagnosis.examine import Diagnosis
from workbench.profile.diagnosis.registry import CHECKS


def _beside(name):
    spec = importlib.util.spec_from_file_location(f"diagnosis_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


planted = _beside("planted")
clean = _beside("clean")

MUST_PAY = [name for name in planted.ALL if name not in ("nogil", "frozen_globals")]


def fault_line(function) -> int:
    lines, first = inspect.getsourcelines(function.py_func)
    offset = next(i for i, line in enumerate(lines) if "# fault" in line)
    return first if lines[offset].startswith("def ") else first + offset


@pytest.fixture(scope="module")
def diagnoses() -> dict[str, Diagnosis]:
    x = planted.vector(64)
    planted.recompiles(x, 3)
    planted.recompiles(x, np.int32(3))
    return {name: diagnose(planted.ALL[name], *planted.arguments(name), seconds=0.1) for name in planted.ALL}


def test_every_check_has_a_planted_fault():
    assert set(CHECKS) == set(planted.ALL)
    assert len(planted.ALL) >= 10 and len(clean.ALL) >= 10


@pytest.mark.parametrize("name", planted.ALL)
def test_planted_fault_is_found_on_its_line(diagnoses, name):
    found = {finding.check: finding for finding in diagnoses[name].findings}
    assert name in found, str(diagnoses[name])
    assert fault_line(planted.ALL[name]) in found[name].lines
    assert found[name].suspicion.evidence
    assert found[name].best is not None and not found[name].best.refused


@pytest.mark.parametrize("name", MUST_PAY)
def test_the_fix_of_a_planted_fault_is_measured_to_pay(diagnoses, name):
    best = next(f.best for f in diagnoses[name].findings if f.check == name)
    assert best.pays and best.low <= best.speedup <= best.high


def test_nothing_else_is_found_in_planted_functions(diagnoses):
    """A finding beside the planted one must be a true one: here only fused multiply-add, in float_mixing."""
    beside = {(name, f.check) for name, d in diagnoses.items() for f in d.findings if f.check != name}
    assert beside <= {("float_mixing", "float_order")}


@pytest.mark.parametrize("name", clean.ALL)
def test_no_finding_on_clean_functions(name):
    told = diagnose(clean.ALL[name], *clean.arguments(name), seconds=0.1)
    assert not told.findings, str(told)


def test_results_that_change_refuse_the_fix():
    @njit(nogil=True, error_model="numpy", boundscheck=False)
    def cancels(x):
        total = 0.0
        for i in range(x.shape[0]):
            total += x[i]
        return total

    x = np.tile(np.array([1e17, 1.0, -1e17, 3.0]), 2048)  # the sum depends on the order wholly
    told = diagnose(cancels, x, seconds=0.05)
    assert "float_order" not in {finding.check for finding in told.findings}
    assert "differ" in str(told)


def test_a_negative_index_that_is_used_forbids_the_unsigned_one():
    @njit(nogil=True, error_model="numpy", boundscheck=False)
    def backwards(values, shift, out):
        for i in range(out.shape[0]):
            out[i] = values[shift - i]

    told = diagnose(backwards, np.arange(64.0), -1, np.zeros(32), seconds=0.05)
    assert "wraparound" not in {finding.check for finding in told.findings}
    assert "negative index" in str(told)


def test_arguments_are_left_as_they_were():
    x, y, out = np.ones(512), np.ones(512), np.zeros(512)
    diagnose(planted.division_check, x, y, out, seconds=0.02)
    assert (out == 0).all()


def test_the_dispatcher_gets_no_new_signature():
    before = list(planted.division_check.signatures)
    diagnose(planted.division_check, *(np.ones(64, np.float32) for _ in range(3)), seconds=0.02)
    assert list(planted.division_check.signatures) == before


def test_two_options_that_pay_only_together():
    @njit(nogil=True, boundscheck=False)
    def ratio_sum(x, y):
        total = 0.0
        for i in range(x.shape[0]):
            total += x[i] / y[i]
        return total

    told = diagnose(ratio_sum, planted.vector(8192), planted.vector(8192), seconds=0.1)
    checks = {finding.check for finding in told.findings}
    assert {"division_check", "float_order"} <= checks
    assert max(finding.speedup for finding in told.findings) > 1.5


def test_display_is_static_and_survives_escaping(diagnoses):
    html = diagnoses["division_check"]._repr_html_()
    text = repr(diagnoses["division_check"])
    assert "<script" not in html and "<style" not in html and "var(" not in html and "light-dark(" in html
    assert "x[i] / y[i]" in text and "error_model" in text and "measured" in text
    assert diagnoses["division_check"].as_dict()["findings"][0]["check"] == "division_check"


def test_what_cannot_be_diagnosed_is_one_sentence():
    with pytest.raises(InputError, match="not a int"):
        diagnose(3)
    with pytest.raises(InputError, match="cannot be called"):
        diagnose(planted.division_check, 1)
    with pytest.raises(InputError, match="does not compile"):
        diagnose(planted.division_check, "a", "b", "c")
