"""Verifying the log: bytes, order, tree, segments, signatures."""
