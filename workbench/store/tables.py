"""The tables as the newest migration leaves them: what the queries are written against.

`workbench.store.migrations` makes them; a test holds the two in step.
"""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

RECORDS = sa.Table(
    "records",
    METADATA,
    sa.Column("record_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("created", sa.Text, nullable=False),  # ISO 8601 in UTC with microseconds: sorts as it reads
    sa.Column("hardware_key", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("git_revision", sa.Text),
    sa.Column("document", sa.Text, nullable=False),  # the whole record
)

RESULTS = sa.Table(
    "results",
    METADATA,
    sa.Column("record_id", sa.Text, sa.ForeignKey("records.record_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),  # the row's place in the record
    sa.Column("kernel", sa.Text, nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("statistic", sa.Text, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("low", sa.Double),
    sa.Column("high", sa.Double),
    sa.Column("samples", sa.BigInteger, nullable=False),
    sa.Column("bound", sa.Text, nullable=False),
    sa.Column("rate_per_s", sa.Double),  # of an open loop
    sa.Column("operations_per_sample", sa.BigInteger, nullable=False),
)

CIRCUMSTANCES = sa.Table(  # of a run, so that a history reads no whole record
    "circumstances",
    METADATA,
    sa.Column("record_id", sa.Text, sa.ForeignKey("records.record_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("workload", sa.Text, nullable=False),
    sa.Column("workload_sha256", sa.Text, nullable=False),
    sa.Column("parameters", sa.Text, nullable=False),  # JSON, by kernel
    sa.Column("settings", sa.Text, nullable=False),  # JSON: versions, target, settings of the machine
    sa.Column("code_hashes", sa.Text, nullable=False),  # JSON: kernel/variant to the hashes of its processes
)

ACCEPTED_STEPS = sa.Table(
    "accepted_steps",
    METADATA,
    sa.Column("step_id", sa.Text, primary_key=True),
    sa.Column("kernel", sa.Text, nullable=False),
    sa.Column("variant", sa.Text),  # NULL: every one, as in the next two
    sa.Column("metric", sa.Text),
    sa.Column("statistic", sa.Text),
    sa.Column("hardware_key", sa.Text, nullable=False),
    sa.Column("night", sa.Text, nullable=False),  # ISO date of the first night of the new level
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("accepted_by", sa.Text, nullable=False),
    sa.Column("accepted", sa.Text, nullable=False),
)

BASELINES = sa.Table(
    "baselines",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("hardware_key", sa.Text, primary_key=True),
    sa.Column("kernels", sa.Text, primary_key=True),  # the record's kernels, sorted, joined by a comma
    sa.Column("record_id", sa.Text, sa.ForeignKey("records.record_id"), nullable=False),
    sa.Column("saved", sa.Text, nullable=False),
)

COMPARISONS = sa.Table(
    "comparisons",
    METADATA,
    sa.Column("record_id", sa.Text, sa.ForeignKey("records.record_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("a", sa.Text, nullable=False),
    sa.Column("b", sa.Text, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("statistic", sa.Text, nullable=False),
    sa.Column("ratio", sa.Double, nullable=False),
    sa.Column("low", sa.Double, nullable=False),
    sa.Column("high", sa.Double, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
)
