import html.parser
import json
import re

import factory
import pytest

from workbench import record
from workbench.codemap.disassembly import Instruction
from workbench.codemap.lines import Frame
from workbench.errors import InputError
from workbench.profile import annotated
from workbench.profile.counted import Line, LineNote
from workbench.profile.formats.collapsed import collapsed
from workbench.profile.formats.speedscope import speedscope
from workbench.profile.profile import Profile, from_record, merge
from workbench.profile.vectorization import loops, note_of

INNER, OUTER = Line("inner", "/src/b.py", 2), Line("outer", "/src/a.py", 3)


@pytest.fixture
def profile():
    found = Profile("toy/one", "cpu")
    found.add(INNER, "samples", 30)
    found.add(INNER, "inclusive", 30)
    found.add(OUTER, "samples", 10)
    found.add(OUTER, "inclusive", 40)
    found.stacks = {
        (Frame("outer", "/src/a.py", 3), Frame("inner", "/src/b.py", 2)): 30.0,
        (Frame("outer", "/src/a.py", 3),): 10.0,
    }
    found.sources = {"/src/a.py": ["x", "y", "if a < b & c:", "z"], "/src/b.py": ["p", "<script>alert(1)</script>"]}
    found.notes_by_line[INNER] = LineNote("zmm ×8", "scalar remainder", ["     0  vaddpd zmm0, zmm0, zmm1"])
    found.outside = {"libpython": 5.0}
    found.badges = {"outer": "same code"}
    found.overhead = {"duration_s": 2.0, "slowdown": 1.01, "slowdown_low": 1.0, "slowdown_high": 1.02}
    return found


def test_shares_are_of_what_lies_in_compiled_code(profile):
    assert profile.total == 40
    assert profile.share(INNER) == 0.75
    assert [line for line, _ in profile.top()] == [INNER, OUTER]
    assert profile.counter_names() == ["samples", "inclusive"]
    assert Profile("empty", "cpu").share(INNER) == 0


def test_a_record_holds_what_a_person_reads(profile):
    text = profile.to_record(factory.machine()).to_json()
    back = from_record(record.from_json(text))
    assert back.counters == profile.counters
    assert back.outside == profile.outside
    assert back.notes_by_line[INNER] == profile.notes_by_line[INNER]
    assert back.source(INNER) == profile.source(INNER)
    assert back.overhead == profile.overhead
    assert "outer: same code" in back.notes
    broken = json.loads(text)
    del broken["results"][0]["counters"]
    with pytest.raises(InputError, match="not a source line"):
        from_record(record.from_json(json.dumps(broken)))


def test_merging_keeps_each_counter_apart(profile):
    other = Profile("toy/one", "cache", "instructions")
    other.add(INNER, "instructions", 1000)
    merged = merge([profile, other])
    assert merged.main == "samples"
    assert merged.counters[INNER] == {"samples": 30, "inclusive": 30, "instructions": 1000}
    assert profile.counters[INNER].keys() == {"samples", "inclusive"}
    with pytest.raises(InputError):
        merge([])


ALLOWED = {"div", "p", "strong", "span", "table", "caption", "thead", "tbody", "tr", "th", "td", "pre"}
ALLOWED |= {"details", "summary"}


class Reader(html.parser.HTMLParser):
    """Keeps tags and attributes, and sees that every tag that opens is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], set(), set(), ""

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_html_keeps_to_what_an_untrusted_notebook_leaves(profile):
    bundle = profile._repr_mimebundle_()
    reader = Reader()
    reader.feed(bundle["text/html"])
    assert not reader.open
    assert reader.tags <= ALLOWED
    assert reader.attributes <= {"style", "scope", "colspan"}
    assert "<script>" not in bundle["text/html"]
    assert "<script>alert(1)</script>" in reader.text
    for said in ("75.0", "same code", "vaddpd zmm0", "zmm ×8", "libpython 5", "if a < b & c:", "slows it by 1.0 %"):
        assert said in reader.text
    assert "var(" not in bundle["text/html"]
    page = annotated.page(profile)
    assert not re.search(r"(src|href)=", page)


def test_text_has_the_top_lines_with_their_source(profile):
    text = profile._repr_mimebundle_()["text/plain"].splitlines()
    assert re.match(r"\s+75\.0\s+30\s+30\s+zmm ×8\s+b.py:2\s+<script>", text[2])
    assert text[-1].startswith("outside: libpython 5")
    assert "compiled code" in str(Profile("empty", "cpu"))


def test_long_files_are_cut_to_what_matters():
    found = Profile("toy/long", "cpu")
    found.sources = {"/src/long.py": [f"line {number}" for number in range(1, 201)]}
    for number in (10, 14, 150):
        found.add(Line("f", "/src/long.py", number), "samples", 1)
    shown = list(annotated._numbers({10, 14, 150}, 200))
    assert shown == [*range(8, 17), None, *range(148, 153)]
    assert list(annotated._numbers({0, 1}, 1)) == [0, 1]
    assert "⋮" in annotated.html(found)


def test_collapsed_stacks(profile):
    assert collapsed(profile).splitlines() == [
        "[libpython] 5",
        "outer (a.py:3) 10",
        "outer (a.py:3);inner (b.py:2) 30",
    ]


def test_speedscope(profile):
    read = json.loads(speedscope(profile))
    sampled = read["profiles"][0]
    assert read["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert sampled["weights"] == [30.0, 10.0, 5.0]
    assert sampled["endValue"] == sum(sampled["weights"])
    names = [[read["shared"]["frames"][number]["name"] for number in stack] for stack in sampled["samples"]]
    assert names == [["outer (a.py:3)", "inner (b.py:2)"], ["outer (a.py:3)"], ["[libpython]"]]


def assembly(*texts: str) -> list[Instruction]:
    return [
        Instruction(4 * place, 4, *(text.split(" ", 1) if " " in text else (text, "")), None, ())
        for place, text in enumerate(texts)
    ]


@pytest.mark.parametrize(
    ("texts", "width", "detail"),
    [
        (["vaddpd zmm0, zmm0, zmmword ptr [rax]", "vaddsd xmm0, xmm0, xmm1"], "zmm ×8", "scalar remainder"),
        (["vmulps ymm0, ymm0, ymm1"], "ymm ×8", ""),
        (["vpaddd xmm0, xmm0, xmm1"], "xmm ×4", ""),
        (["vfmadd231pd ymm0, ymm1, ymm2"], "ymm ×4", ""),
        (["vaddsd xmm0, xmm0, qword ptr [rax]"], "scalar", ""),
        (["vdivsd xmm0, xmm0, xmm1"], "scalar", "1 division"),
        (["vgatherqpd zmm0, zmmword ptr [rax + zmm1*8]", "vaddpd zmm0, zmm0, zmm1"], "zmm ×8", "1 gather"),
        (["vmovsd qword ptr [rsp + 8], xmm0", "add rax, rbx"], "scalar", "1 stack access"),
        (["lock xadd qword ptr [rax], rbx"], "", "1 atomic"),
        (["vmovsd xmm0, qword ptr [rax]", "inc rax"], "", ""),
    ],
)
def test_width_is_read_from_the_instructions(texts, width, detail):
    note = note_of(assembly(*texts))
    assert (note.width, note.detail) == (width, detail)
    assert len(note.assembly) == len(texts)


def test_a_line_in_a_loop_is_judged_by_the_loop():
    found = assembly("vaddsd xmm0, xmm0, xmm1", "vaddpd zmm0, zmm0, zmm1", "jne 0x4", "ret")
    assert loops(found) == {4, 8}
    assert note_of(found, loops(found)).detail == ""
    assert note_of(found).detail == "scalar remainder"
