"""The pages of the console, each a function from a call to a response."""

from stairways.console.pages import events, runs

PAGES = (*runs.PAGES, *events.PAGES)
