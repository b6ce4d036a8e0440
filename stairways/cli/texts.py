"""Text on the command line: what is empty counts not as left out, and all of it is UTF-8."""

import click

from stairways.core.values import is_utf8


class Text(click.types.StringParamType):
    """Text that can be stored and printed."""

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the text; refuses an empty one and bytes that are no UTF-8."""
        text: str = super().convert(value, param, ctx)
        if not text:
            otherwise = "." if param is not None and param.required else ", or leave it out."
            self.fail(f"it is empty; give a value{otherwise}", param, ctx)
        if not is_utf8(text):
            self.fail(f"{text!a} is no UTF-8 text; write it in UTF-8.", param, ctx)
        return text


TEXT = Text()


def check_texts(command: click.Command) -> None:
    """Let every text that ``command`` takes be a ``Text``."""
    for parameter in command.params:
        if isinstance(parameter.type, click.types.StringParamType):
            parameter.type = TEXT
