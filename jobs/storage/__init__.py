"""Where a lake is stored: a local folder, or a catalog. This package has only what differs between them."""

from jobs.storage.catalog import Catalog
from jobs.storage.interface import RECENT_COMMITS, Storage, create_schema, location_clause
from jobs.storage.local_folder import LocalFolder

__all__ = ["RECENT_COMMITS", "Catalog", "LocalFolder", "Storage", "create_schema", "location_clause"]
