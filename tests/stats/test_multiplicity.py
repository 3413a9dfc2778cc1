import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from workbench.stats.multiplicity import adjust, findings

P_VALUES = st.lists(st.floats(0, 1), max_size=30)


@given(P_VALUES.filter(bool))
def test_adjusted_values_are_scipys(p_values):
    assert adjust(p_values) == pytest.approx(list(scipy.stats.false_discovery_control(p_values)), rel=1e-12)


def test_findings_are_those_of_the_paper():
    published = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719]
    published += [0.6528, 0.7590, 1.0]  # Benjamini, Hochberg 1995, section 3.2: four are rejected at 0.05
    assert findings(published, 0.05) == [True] * 4 + [False] * 11


def test_one_test_is_its_own_level_and_none_finds_nothing():
    assert findings([0.05], 0.05) == [True] and findings([0.051], 0.05) == [False]
    assert findings([], 0.05) == []


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_what_is_no_p_value_is_refused(wrong):
    with pytest.raises(ValueError, match="lies in 0"):
        adjust([0.5, wrong])
