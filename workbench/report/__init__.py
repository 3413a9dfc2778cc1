"""Reports that a person reads: self-contained pages of executed notebooks, an index of a batch, findings in words."""
