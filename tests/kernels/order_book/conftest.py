"""What the tests of the order book share."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `streams`

from streams import ANY_EVENTS, BOOK, OURS


@pytest.fixture(scope="session")
def book():
    """The kernel."""
    return BOOK


@pytest.fixture(params=ANY_EVENTS)
def any_variant(request):
    """Every variant, and the peers that can run here."""
    variant = BOOK.variants[request.param]
    if variant.missing():
        pytest.skip(f"{variant.full_name} cannot run here: {variant.missing()}")
    return variant


@pytest.fixture(params=OURS)
def variant(request):
    """Every variant of ours."""
    return BOOK.variants[request.param]
