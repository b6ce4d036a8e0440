"""Weighing results against chance and simple strategies."""
