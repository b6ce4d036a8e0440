"""A run taken out of the log: as tables, records, a page, or a bundle that proves itself."""
