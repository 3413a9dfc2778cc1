"""The record form in C++ (`peer_cpp.cpp`): one copy to the wire, one from it, checks as ours."""

from __future__ import annotations

from kernels.order_codec._cpp_peers import cpp_peer

VARIANT = cpp_peer("peer_cpp_copy", "codec_copy", "The record copied to the wire and from it in C++.")
