from kernels._jit import kernel_jit


@kernel_jit
def replay_from(state, sizes, out, begin, probe):
    total = 0.0
    stride = state.stride[0]
    for _ in range(begin, len(sizes)):
        for i in range(4096):
            total += state.prices[i * stride]  # the planted miss
    out[0] = total
    return len(sizes)
