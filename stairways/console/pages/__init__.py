"""The pages of the console, each a function from a call to a response."""

from stairways.console.pages import daemon, data, events, integrity, models, runs

PAGES = (
    *runs.PAGES,
    *events.PAGES,
    *models.PAGES,
    *data.PAGES,
    *integrity.PAGES,
    *daemon.PAGES,
)
