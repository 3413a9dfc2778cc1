"""Measuring: fresh pinned processes, order-balanced blocks, histograms, the clock and the machine."""

from workbench.callable_module import make_callable

# `wb.measure(...)` is the public call and `workbench.measure` this package: one attribute of `workbench`, which the
# import system sets whenever anything below here is imported. So the module itself can be called.
make_callable(__name__, "workbench.measure.api:measure")
