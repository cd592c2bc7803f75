"""Commands that refuse an option that is given twice, where only the last would count."""

import typer
from typer.core import TyperCommand, TyperOption

from cooper.errors import CooperError


class OnceCommand(TyperCommand):
    """As any command, but of an option with one value the first is never dropped without a word."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        for option in self.params:
            if isinstance(option, TyperOption) and not option.multiple and not option.is_flag:
                given = [word for word in args if word.partition("=")[0] in option.opts]
                if len(given) > 1:
                    raise CooperError(f"{given[0].partition('=')[0]} stands there {len(given)} times, and it takes one value")
        return super().parse_args(ctx, args)
