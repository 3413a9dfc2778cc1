"""What decides: every threshold with its reason, and the verdicts that follow from them."""
