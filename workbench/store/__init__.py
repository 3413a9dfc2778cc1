"""Results in a database: SQLite by default, another by URL. Whole records as JSON, and their figures as rows."""

from workbench.store.database import Baseline, Store, open_store

__all__ = ["Baseline", "Store", "open_store"]
