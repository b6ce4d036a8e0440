"""Replaying a run, level by level."""
