"""Compiled code that uses these intrinsics holds no address of its process: another process loads it."""

from machine_code import run_program


def test_a_second_process_compiles_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path))
    first = run_program("cached_program.py", "host")
    assert first["right"]
    assert "everything" in first["compiled"]
    assert run_program("cached_program.py", "host") == {"right": True, "compiled": []}
