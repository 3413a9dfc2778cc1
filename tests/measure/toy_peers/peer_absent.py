from kernels.catalog import Variant

VARIANT = Variant(
    "peer_absent",
    None,
    "Code that nobody has.",
    lambda parameters: None,
    lambda state: None,
    lambda state, sizes, out, begin, probe: len(sizes),
    peer=True,
    missing=lambda: "nobody has it",
)
