"""A user's functions as the variants of a kernel: decorated in a cell or in a module, measured like the library's."""

PACKAGE = "workbench.own"  # of every kernel made of such functions: it lies in no package of its own
