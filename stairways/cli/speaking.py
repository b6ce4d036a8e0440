"""Sentences for people, on stderr."""

import os
import sys
import textwrap

import click


def say(sentence: str) -> None:
    """Say a sentence on stderr; on a terminal its lines break between words, not inside them."""
    if sys.stderr.isatty():
        width = os.get_terminal_size(sys.stderr.fileno()).columns or len(sentence)
        lines = textwrap.wrap(sentence, width, break_long_words=False, break_on_hyphens=False)
        sentence = "\n".join(lines)
    click.echo(sentence, err=True)
