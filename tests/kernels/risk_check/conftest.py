"""What the tests of the risk check share: each other."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `test_risk_check`, whose streams other files use
