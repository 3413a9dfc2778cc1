"""Bytes of small files of each format, and the ways to pack them."""

import gzip

import zstandard

from workbench import workloads

LINES = b"""34200.004241176,1,16113575,18,5853300,1
34200.00426064,1,16113576,100,5853200,-1
34200.5,4,16113575,5,5853300,1
35821.088778456004,2,16113576,40,5853200,-1
35821.0887784566,5,0,7,5853250,-1
35822,3,99,10,5853200,-1
35823.25,7,0,0,-1,-1
35824.25,7,0,0,0,-1
35825.25,7,0,0,1,-1
"""
PACKED = {"plain": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}


def recording_bytes(events, tmp_path):
    path = tmp_path / "recording.npy"
    workloads.write_recording(path, events)
    return path.read_bytes()


def itch_bytes(events, tmp_path, **options):
    path = tmp_path / "file.itch"
    workloads.write_itch(path, events, **options)
    return path.read_bytes()
