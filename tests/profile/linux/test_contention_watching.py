"""What cannot be watched is told, and the rest of a contention profile goes on."""

import kernels
from workbench import workloads
from workbench.profile import contention
from workbench.profile.contention import ContentionProfile, _watch


def test_a_variant_that_is_not_compiled_is_noted_and_the_rest_goes_on(monkeypatch):
    watched = []
    monkeypatch.setattr(contention, "watch", lambda *given, **options: watched.append(given))
    plain = next(
        variant
        for variant in kernels.get("order_codec").variants.values()
        if not variant.peer and not hasattr(variant.replay_from, "py_func")
    )
    profile = ContentionProfile("order_codec", "contention", main="system_calls")
    events = workloads.synthetic(events=64).events
    _watch(profile, plain, 1, events, {}, 0.1, trace=False)
    assert not watched
    (note,) = profile.notes
    assert note.startswith(f"{plain.full_name} with 1 threads was not watched: {plain.full_name} is not compiled")
