"""Metrics are a projection of the log: a fold from its own position, scraped or pushed."""
