"""A read-only web console over the log, for auditors and for those who watch a run."""
