"""What decides: budgets, and the verdicts that follow from the thresholds of `workbench.policy`."""
