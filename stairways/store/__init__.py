"""The log: append-only events and content-addressed blobs, in SQLite or PostgreSQL."""
