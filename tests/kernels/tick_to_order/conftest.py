"""What the tests of the pipeline share."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "order_book")]  # for `pipelines`, and the order book's `streams`
