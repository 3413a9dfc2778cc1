"""What the tests of the positions share: each other."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `test_positions`, whose streams other files use
