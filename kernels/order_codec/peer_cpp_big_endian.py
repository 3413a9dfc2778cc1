"""The packed big-endian form in C++ (`peer_cpp.cpp`): a copy and a byte swap for each number, checks as ours."""

from __future__ import annotations

from kernels.order_codec._cpp_peers import cpp_peer

VARIANT = cpp_peer("peer_cpp_big_endian", "codec_big_endian", "Packed big-endian in C++, a byte swap for each number.")
