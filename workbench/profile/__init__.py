"""Where a compiled kernel spends, by source line: ``workbench.profile(kernel, variant, kind="cpu")``."""

from workbench.callable_module import make_callable

make_callable(__name__, "workbench.profile.run:profile")
