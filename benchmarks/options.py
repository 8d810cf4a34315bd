"""Settings structures as command line options: a field is an option, its `msgspec.Meta` says what for.

``Annotated[float, Meta(description="Length of a run.", gt=0)]`` becomes ``--seconds FLOAT``; a tuple becomes
an option that may be given several times. ``Meta(extra={"flag": "only", "choices": [...]})`` gives another name,
or a choice.
"""

from __future__ import annotations

from typing import Any, get_args, get_origin, get_type_hints

import click
import msgspec


def options_of(settings: type[msgspec.Struct]) -> list[click.Parameter]:
    """Return a click option per field."""
    hints = get_type_hints(settings, include_extras=True)
    return [_option(field, hints[field.name]) for field in msgspec.structs.fields(settings)]


def _option(field: Any, hint: Any) -> click.Option:
    kind, meta = _split(hint)
    is_tuple = get_origin(kind) is tuple
    if is_tuple:
        kind, inner = _split(get_args(kind)[0])
        meta = msgspec.Meta(description=meta.description, extra=meta.extra, ge=inner.ge)
    extra = meta.extra or {}
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    shown = extra.get("shown", True)
    return click.Option(
        [f"--{extra.get('flag', field.name.replace('_', '-'))}", field.name],
        type=_type(kind, meta),
        multiple=is_tuple,
        is_flag=kind is bool,
        default=default,
        show_default=shown,
        help=meta.description,
    )


def _split(hint: Any) -> tuple[Any, msgspec.Meta]:
    """Return the plain type and what is said about it."""
    if hasattr(hint, "__metadata__"):
        return get_args(hint)[0], next(m for m in hint.__metadata__ if isinstance(m, msgspec.Meta))
    return hint, msgspec.Meta()


def _type(kind: Any, meta: msgspec.Meta) -> click.ParamType[Any] | None:
    choices = (meta.extra or {}).get("choices")
    if choices:
        return click.Choice(choices)
    least = meta.ge if meta.gt is None else meta.gt
    if kind is int:
        return click.INT if least is None else click.IntRange(min=int(least), min_open=meta.gt is not None)
    if kind is float:
        return click.FLOAT if least is None else click.FloatRange(min=least, min_open=meta.gt is not None)
    return None


def chosen(context: click.Context, defaults: msgspec.Struct) -> Any:
    """Return `defaults` with what was given on the command line in their place."""
    given = {
        field.name: context.params[field.name]
        for field in msgspec.structs.fields(type(defaults))
        if context.get_parameter_source(field.name) is not click.core.ParameterSource.DEFAULT
    }
    return msgspec.structs.replace(defaults, **given)
