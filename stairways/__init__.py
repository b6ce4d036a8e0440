"""Stairways: the flight recorder for reinforcement-learning trading."""

__version__ = "0.1.0"
