"""Names and sources may hold anything: displays show them as text, never as markup."""

import html.parser

from workbench.profile.counted import Line, LineNote
from workbench.profile.diagnosis.examine import Diagnosis
from workbench.profile.diagnosis.model import Effect, Finding, Suspicion
from workbench.profile.profile import Profile

SCRIPT = "<script>alert(1)</script>"
QUOTED = "\"'><img src=x onerror='alert(2)'>"
NEITHER = {"script", "img"}


class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_data(self, data):
        self.text += data


def read(markup: str) -> Reader:
    reader = Reader()
    reader.feed(markup)
    assert not reader.tags & NEITHER
    assert "onerror" not in reader.attributes
    return reader


def test_a_profile_of_hostile_names():
    found = Profile(SCRIPT, "cpu")
    for line in (Line(SCRIPT, f"/src/{QUOTED}.py", 1), Line(QUOTED, f"/src/{SCRIPT}.py", 1), Line(QUOTED, "", 0)):
        found.add(line, "samples", 1)
        found.add(line, QUOTED, 1)
        found.notes_by_line[line] = LineNote(SCRIPT, QUOTED, [SCRIPT])
        found.sources[line.file] = [f"x = {SCRIPT!r}  # {QUOTED}"]
    found.badges, found.outside, found.notes = {SCRIPT: QUOTED}, {QUOTED: 1.0}, [SCRIPT]
    text = read(found._repr_mimebundle_()["text/html"]).text
    assert text.count(SCRIPT) >= 8 and text.count(QUOTED) >= 8


def test_a_diagnosis_of_hostile_names():
    suspicion = Suspicion("division_check", (1,), SCRIPT, QUOTED, SCRIPT)
    effects = (
        Effect(SCRIPT, 2.0, 1.9, 2.1, 6, 0.0, True),
        Effect(QUOTED, 1.0, 1.0, 1.0, 0, 0.0, False, refused=SCRIPT),
    )
    confirmed, dismissed = Finding(suspicion, effects, True), Finding(suspicion, effects, False)
    told = Diagnosis(SCRIPT, QUOTED, 1, (f"x = {SCRIPT}", QUOTED), SCRIPT, (confirmed,), (dismissed,), 0.0)
    text = read(told._repr_html_()).text
    assert text.count(SCRIPT) >= 7 and text.count(QUOTED) >= 3
