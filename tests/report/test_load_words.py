"""What is said of a load is what was measured."""

import sys
from pathlib import Path

from workbench.report.load_words import load_outcome

sys.path.insert(0, str(Path(__file__).parents[1]))
import factory


def test_the_headline_is_the_knee_and_the_findings_say_where_waiting_begins():
    outcome = load_outcome(factory.loaded(), "order_book")
    assert outcome.headline == "ladder holds p99 <= 5000 ns up to 2.00 M operations/s."
    (waiting,) = [text for text in outcome.findings if "wait for one another" in text]
    assert (
        waiting.startswith("From 4.00 M operations/s on")
        and "1.00 ms from the intended start, 80.0 ns from the real" in waiting
    )


def test_a_limit_that_nobody_holds_and_no_load_at_all_are_said():
    assert "No variant of order_book holds" in load_outcome(factory.loaded(knee=0.0), "order_book").headline
    assert load_outcome(factory.run(), "order_book").headline == "No response time of order_book was measured."
    free = factory.loaded()
    kept = [row for row in free.results if row.metric != "knee" and row.rate_per_s != 4e6]
    outcome = load_outcome(free.model_copy(update={"results": kept}), "order_book")
    assert outcome.headline == "Response times of order_book were measured at 2 loads."
    assert "hardly wait" in outcome.findings[-1]
