"""A small chain of variants with records made by hand: a root, a step that paid, one that did not, and a peer."""

import factory

from workbench.profile.counted import Line
from workbench.profile.profile import Profile
from workbench.record import Result, Verdict
from workbench.report import story
from workbench.report.chain import Chain, Step

HOSTILE = "<img src=http://192.0.2.1/x onerror=alert(1)>"
STEPS = (
    Step("baseline", None, "baseline", 0, "The root.", readable=True),
    Step("ladder", "baseline", "baseline", 1, "Nothing is searched.", readable=False),
    Step("aligned", "ladder", "baseline", 2, f"Lines of its own {HOSTILE}.", readable=False),
)
PEER = Step("peer", None, "peer", 0, "Theirs.", readable=False, peer=True)
CHAIN = Chain("order_book", "A book.", ("one message",), STEPS, (PEER,))
MEANS = {"baseline": 60.0, "ladder": 16.0, "aligned": 20.0, "peer": 58.0}


def run_of(verdicts=(Verdict.FASTER, Verdict.SLOWER)):
    compared = [
        factory.comparison(f"order_book/{a}", f"order_book/{b}", ratio, verdict, metric="throughput")
        for a, b, ratio, verdict in (
            ("baseline", "ladder", 0.267, verdicts[0]),
            ("ladder", "aligned", 1.25, verdicts[1]),
            ("baseline", "aligned", 0.333, Verdict.FASTER),
            ("peer", "baseline", 1.034, Verdict.UNRESOLVED),
            ("peer", "ladder", 0.276, Verdict.FASTER),
        )
    ]
    run = factory.run(comparisons=compared, with_blocks=False)
    means = [
        Result(
            kernel="order_book", variant=name, metric="service_time", statistic="batch_mean", unit="ns", value=value,
            low=value * 0.98, high=value * 1.02, samples=9,
        )
        for name, value in MEANS.items()
    ]  # fmt: skip
    return run.model_copy(update={"results": [*run.results, *means]})


def profiles(kind, counter, by_variant):
    """Return profiles with one line for each function: ``{variant: {function: amount}}``."""
    found = {}
    for variant, amounts in by_variant.items():
        profile = Profile(f"order_book/{variant}", kind, main=counter)
        for place, (function, amount) in enumerate(amounts.items(), 1):
            line = Line(function, f"/x/{function}.py", place)
            profile.add(line, counter, amount)
            if kind == "cache":
                profile.add(line, "d1_misses", amount / 100)
            profile.sources[line.file] = [""] * (place - 1) + [f"{function} <code>"]
        found[variant] = profile
    return story.Profiles(kind, found, operations=10)


LINES = profiles(
    "cpu",
    "samples",
    {"baseline": {"find": 50, "apply": 50}, "ladder": {"apply": 100}, "aligned": {"fetch": 40, "apply": 60}},
)
COUNTS = profiles(
    "cache",
    "instructions",
    {"baseline": {"find": 3000, "apply": 1000}, "ladder": {"apply": 2000}, "aligned": {"apply": 2010}},
)
