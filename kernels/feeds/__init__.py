"""Exchange feeds: bytes in, blocks of `kernels.messages.EVENT` out, all in compiled code.

`itch` reads NASDAQ TotalView-ITCH 5.0; `replay` hands the blocks of a feed to a variant of a kernel that takes events.
"""
