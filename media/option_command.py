"""Shell: the options of `media.options` as click knows them, for the commands that take all of them."""

from __future__ import annotations

from pathlib import Path

import click

from media.options import OPTIONS


class SectionedCommand(click.Command):
    """Shows its options under headings: those of `media.options`, then the rest."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        section_of = {option.name: option.section for option in OPTIONS}
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record:
                sections.setdefault(section_of.get(parameter.name or "", "Other"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def option_parameters() -> list[click.Parameter]:
    """Return the options as click knows them: text, which `media.settings` reads."""
    parameters: list[click.Parameter] = []
    for option in OPTIONS:
        default = f"  [default: {option.default_text}]" if option.default_text else ""
        metavar, text = option.format.metavar, option.help + default
        parameters.append(click.Option([option.flag], metavar=metavar, multiple=option.repeatable, help=text))
    file = click.Path(path_type=Path)
    return [*parameters, click.Option(["--config"], metavar="FILE", type=file, help="Read options from a TOML file.")]
