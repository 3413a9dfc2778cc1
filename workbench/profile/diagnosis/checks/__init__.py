"""One file for each thing that can be wrong. A file has NAME, HELP and ``look(subject, trials) -> suspicions``."""
