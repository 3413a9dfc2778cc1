"""Kernels and variants are found by themselves, validated at the border, and told in one sentence when absent."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import kernels
from kernels.catalog import Kernel, Parameter, Variant, _parents_first, register

THIRD = {
    "__init__.py": """
        from kernels.catalog import Kernel, Parameter
        import numpy as np
        class Reference:
            def __init__(self, scale): self.scale = scale
            def replay(self, values): return [value * self.scale for value in values]
        KERNEL = Kernel(
            name="third", title="A third kernel", card="Scales sizes.", operations={"scale": "one size"}, counters={},
            invariants=("linear",), parameters=(Parameter("scale", 2, 1, 9, "factor"),), package=__name__,
            reference=Reference, prepare=lambda events, parameters: events["size"].astype(np.float64),
            parameters_for=lambda events: {}, output=lambda values, parameters: np.empty_like(values),
            length=len, count_operations=len,
        )
        """,
    "baseline.py": """
        from typing import NamedTuple
        import numpy as np
        from kernels import probe as probing
        from kernels._jit import kernel_jit
        from kernels.catalog import Variant
        class State(NamedTuple):
            scale: np.ndarray
        @kernel_jit
        def replay(state, values, out, begin, probe):
            for i in range(begin, values.shape[0]):
                began = probing.start(probe)
                out[i] = values[i] * state.scale[0]
                probing.stop(probe, began)
            return values.shape[0]
        VARIANT = Variant(
            name="baseline", parent=None, idea="A plain loop.",
            allocate=lambda parameters: State(np.full(1, parameters["scale"], np.float64)),
            reset=lambda state: None, replay_from=replay,
        )
        """,
}


def test_variants_stand_after_their_parents_and_peers_last():
    for kernel in kernels.catalog().values():
        seen = set()
        for variant in kernel.variants.values():
            assert variant.parent is None or variant.parent in seen
            seen.add(variant.name)
        assert "baseline" in seen


def test_an_unknown_kernel_or_variant_is_answered_with_what_there_is():
    with pytest.raises(KeyError, match="order_book"):
        kernels.get("orderbook")
    with pytest.raises(KeyError, match="ladder"):
        kernels.get("order_book").variant("lader")


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"symbols": 0}, "symbols must lie in"),
        ({"symbols": 2.5}, "symbols must be a whole number"),
        ({"symbols": True}, "symbols must be a whole number"),
        ({"simbols": 2}, "has no parameter 'simbols'"),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_sentence(parameters, sentence):
    with pytest.raises(ValueError, match=sentence):
        kernels.get("order_book").variants["baseline"].build(**parameters)


def test_a_lost_parent_is_named():
    orphan = Variant("b", "a", "", lambda p: None, lambda s: None, lambda *a: 0)
    with pytest.raises(ValueError, match=r"no parent for b \(parent 'a'\)"):
        _parents_first("k", {"b": orphan})


def test_a_builtin_name_cannot_be_taken():
    card = kernels.get("order_book")
    with pytest.raises(ValueError, match="built-in"):
        register(card)


def test_parameters_take_numpy_integers():
    assert Parameter("n", 1, 1, 9, "").check("k", np.int64(3)) == 3


def test_a_third_kernel_is_one_folder_and_nothing_else(tmp_path):
    """Found and replayed, with its probe, as it lies there: no line of the catalog or the workbench knows it."""
    program = textwrap.dedent(
        """
        import kernels
        kernels.__path__.append(sys.argv[1])
        import numpy as np
        from kernels.messages import EVENT
        third = kernels.get("third")
        events = np.zeros(4, EVENT); events["size"] = [1, 2, 3, 4]
        instance = third.variants["baseline"].build(instrumented=True, scale=3)
        out = third.variants["baseline"].replay(instance, events)
        assert out.tolist() == [3, 6, 9, 12] == third.reference(scale=3).replay(events["size"])
        assert instance.probe.histogram.sum() == 4
        print(*kernels.catalog())
        """
    )
    folder = tmp_path / "third"
    folder.mkdir()
    for name, text in THIRD.items():
        (folder / name).write_text(textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, "-c", "import sys\n" + program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "third" in done.stdout.split()


def test_the_card_says_what_a_person_needs():
    for kernel in kernels.catalog().values():
        assert isinstance(kernel, Kernel)
        assert kernel.title
        assert kernel.operations
        assert kernel.invariants
        for variant in kernel.variants.values():
            assert variant.idea.endswith("."), variant.full_name
