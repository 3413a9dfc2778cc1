from kernels.catalog import Variant


def replay_from(state, sizes, out, begin, probe):
    out[0] = sizes[begin:].sum()
    return len(sizes)


VARIANT = Variant(
    "peer_numpy",
    None,
    "NumPy's sum.",
    lambda parameters: None,
    lambda state: None,
    replay_from,
    peer=True,
    refuses=lambda parameters: "it adds once" if parameters["way"] else None,
)
