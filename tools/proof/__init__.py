"""The proof of the gate: how often it cries wolf, what it finds, and what other tools say of the same samples."""
