"""The files of all variants that a part of the pipeline can be: ``MODULES["book_combined"]``, and so on.

Imported one by one, and not by name when they are needed: the key of the compiled-code cache is made of the files that
``import`` statements lead to, so a change in any of them makes every pipeline be compiled anew.
"""

# ruff: noqa: F401 - they are found among the globals

from __future__ import annotations

from types import ModuleType

from kernels.message_queue import adaptive_mutex as queue_adaptive_mutex
from kernels.message_queue import aligned as queue_aligned
from kernels.message_queue import baseline as queue_baseline
from kernels.message_queue import cells as queue_cells
from kernels.message_queue import lock_free as queue_lock_free
from kernels.message_queue import mpmc as queue_mpmc
from kernels.message_queue import packed as queue_packed
from kernels.message_queue import robust as queue_robust
from kernels.message_queue import simd as queue_simd
from kernels.message_queue import spin_mutex as queue_spin_mutex
from kernels.order_book import aligned as book_aligned
from kernels.order_book import baseline as book_baseline
from kernels.order_book import combined as book_combined
from kernels.order_book import ladder as book_ladder
from kernels.order_book import lock_free as book_lock_free
from kernels.order_book import simd as book_simd
from kernels.order_book import skip_list as book_skip_list
from kernels.order_codec import aligned as codec_aligned
from kernels.order_codec import big_endian as codec_big_endian
from kernels.order_codec import simd as codec_simd
from kernels.order_pool import aligned as pool_aligned
from kernels.order_pool import baseline as pool_baseline
from kernels.order_pool import lock_free as pool_lock_free
from kernels.order_pool import simd as pool_simd
from kernels.order_pool import stack as pool_stack
from kernels.order_pool import trusted as pool_trusted
from kernels.positions import aligned as position_aligned
from kernels.positions import baseline as position_baseline
from kernels.positions import lock_free as position_lock_free
from kernels.positions import simd as position_simd
from kernels.risk_check import aligned as risk_aligned
from kernels.risk_check import baseline as risk_baseline
from kernels.risk_check import combined as risk_combined
from kernels.risk_check import lock_free as risk_lock_free
from kernels.risk_check import simd as risk_simd
from kernels.signals import aligned as signal_aligned
from kernels.signals import baseline as signal_baseline
from kernels.signals import lock_free as signal_lock_free
from kernels.signals import simd as signal_simd

MODULES = {name: module for name, module in globals().items() if isinstance(module, ModuleType)}
