"""Records: strict to read, versioned, and in step with the committed JSON Schemas."""

import json
from pathlib import Path

import jsonschema
import pytest

from workbench import record
from workbench.commands import schemas

MACHINE = record.Machine(
    hardware_key="k", host="h", cpu_model="c", cores=2, linux="6", memory_bytes=1, load_1min=0.0, versions={},
    target_cpu="znver4", target_features_hash="f",
)  # fmt: skip
WORKLOAD = record.Workload(name="w", content="synthetic", events=1, symbols=1, sha256="0")
RUN = record.Run(
    machine=MACHINE,
    workload=WORKLOAD,
    results=[
        record.Result(
            kernel="k", variant="v", metric="service_time", statistic="p50", unit="ns", value=1.5, low=1.0, high=2.0,
            samples=9,
        )
    ],
)  # fmt: skip


def test_a_record_comes_back_as_it_was():
    assert record.from_json(RUN.to_json()) == RUN


def test_a_record_of_the_first_version_is_read():
    older = json.loads(RUN.to_json())
    older["schema"] = "workbench/run/1"
    assert record.from_json(json.dumps(older)) == RUN


def test_the_envelope_is_the_documented_one():
    told = json.loads(RUN.to_json())
    assert told["schema"] == "workbench/run/2"
    assert {"machine", "results"} <= set(told)
    assert {"kernel", "variant", "metric", "statistic", "unit", "value", "low", "high", "samples"} <= set(
        told["results"][0]
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda raw: "{", "is not JSON"),
        (lambda raw: json.dumps([raw]), "has schema None"),
        (lambda raw: json.dumps({**raw, "schema": "workbench/run/99"}), "has version 99"),
        (lambda raw: json.dumps({**raw, "schema": "workbench/rum/1"}), "KIND of run"),
        (lambda raw: json.dumps({**raw, "extra": 1}), "field extra"),
        (lambda raw: json.dumps({**raw, "results": [{}]}), "field results.0.kernel"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(change, sentence):
    with pytest.raises(record.RecordError, match=sentence) as caught:
        record.from_json(change(json.loads(RUN.to_json())), "runs/x.json")
    assert "runs/x.json" in str(caught.value)


@pytest.mark.parametrize("kind", sorted(record.RECORDS))
def test_the_committed_schema_is_that_of_the_model(kind):
    file = Path(__file__).parents[1] / "docs" / "schemas" / f"{kind}.json"
    assert json.loads(file.read_text()) == schemas.schema_of(kind), "run: workbench schemas docs/schemas"


def test_the_schema_accepts_a_record_and_refuses_a_broken_one():
    told = json.loads(RUN.to_json())
    jsonschema.validate(told, schemas.schema_of("run"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**told, "results": [{"value": "fast"}]}, schemas.schema_of("run"))
