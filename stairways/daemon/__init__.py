"""Keeping schedules: when a stairway is due, and who trains it, on however many machines."""
