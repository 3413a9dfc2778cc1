"""Pure statistics: numbers in, judgements out. No clock, no files, and every threshold is an argument."""
