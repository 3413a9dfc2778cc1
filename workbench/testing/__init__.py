"""Performance in a test suite: what the fixture of the pytest plugin does, imported when a test first asks for it."""
