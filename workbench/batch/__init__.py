"""Batches of notebooks: a plan in TOML, one process per notebook, resumed where it stopped."""
