"""Pure functions: records in, plotly figures out; for reports and widgets alike. Each carries its data as a table."""

from workbench.figures.budget import budget_bullets
from workbench.figures.history import value_over_nights
from workbench.figures.latency import latency_percentiles
from workbench.figures.line_differences import line_differences
from workbench.figures.load import response_by_load
from workbench.figures.ratio import comparison_ratios
from workbench.figures.roofline import roofline, working_set_latency
from workbench.figures.steps import LEAST, SIMULATED, simulated_counts, step_costs
from workbench.figures.table import Table, figure_name, figure_table
from workbench.figures.throughput import throughput_bars
from workbench.figures.waterfall import waterfall

__all__ = [
    "LEAST",
    "SIMULATED",
    "Table",
    "budget_bullets",
    "comparison_ratios",
    "figure_name",
    "figure_table",
    "latency_percentiles",
    "line_differences",
    "response_by_load",
    "roofline",
    "simulated_counts",
    "step_costs",
    "throughput_bars",
    "value_over_nights",
    "waterfall",
    "working_set_latency",
]
