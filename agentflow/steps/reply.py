"""`reply`: sends a message with buttons to the channel that the run talks to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, cast

from pydantic import Field, TypeAdapter, ValidationInfo, field_validator

from agentflow.data import is_array
from agentflow.definition.models import Model
from agentflow.errors import StepError
from agentflow.expressions import compile_value
from agentflow.steps.contract import Context, Result, StepType
from agentflow.steps.fields import Text
from agentflow.steps.unset import UNSET


class UrlButton(Model):
    """Opens a page."""

    kind: Literal["url"]
    """Kind of button."""
    label: Text
    """What the button says."""
    url: Text
    """The page."""


class WebAppButton(Model):
    """Opens a page inside the channel's app."""

    kind: Literal["web_app"]
    """Kind of button."""
    label: Text
    """What the button says."""
    url: Text
    """The page."""


class CallbackButton(Model):
    """Sends data back, such as `wf:open:m1`, which a `callback` trigger receives."""

    kind: Literal["callback"]
    """Kind of button."""
    label: Text
    """What the button says."""
    callback_data: Text
    """What is sent."""


Button: TypeAlias = Annotated[UrlButton | WebAppButton | CallbackButton, Field(discriminator="kind")]
_BUTTON: TypeAdapter[UrlButton | WebAppButton | CallbackButton] = TypeAdapter(Button)


class ReplyConfig(Model):
    """What is sent."""

    text: Text
    """The message."""
    buttons: tuple[tuple[Button, ...], ...] = ()
    """Rows of buttons."""
    buttons_from: Any = Field(default_factory=lambda: UNSET)
    """A list: each of its elements gives one more row, made from `button_template`."""
    button_template: Button | None = None
    """The button of such a row, with references `{item.…}` to the element and `{index}` to its number."""

    @field_validator("button_template")
    @classmethod
    def _has_elements(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("buttons_from") is UNSET:
            raise ValueError("button_template needs buttons_from: the list to make buttons of")
        return value


class _Element:
    """What the template of one button reads: the element, and what the step itself sees."""

    def __init__(self, ctx: Context, item: Any, index: int) -> None:
        self._ctx = ctx
        self._bound: Mapping[str, Any] = {"item": item, "index": index}

    def get(self, namespace: str) -> object:
        ctx = self._ctx
        if namespace in self._bound:
            return self._bound[namespace]
        match namespace:
            case "input":
                return ctx.input
            case "with":
                return ctx.values
            case "env":
                return ctx.env
            case _:
                raise KeyError(namespace)

    def step(self, step_id: str) -> object:
        return self._ctx.steps[step_id]

    def optional(self, namespace: str, path: tuple[str | int, ...]) -> bool:
        # Buttons are for people: an element without a field gives an empty text, not a failed run.
        return namespace == "item"

    def search(self, name: str) -> object:
        for values in (self._ctx.input, self._ctx.steps, self._ctx.env, self._ctx.values):
            if isinstance(values, Mapping) and name in values:
                return cast("Mapping[str, object]", values)[name]
        raise KeyError(name)


def _row_per_element(config: ReplyConfig, ctx: Context) -> list[list[dict[str, Any]]]:
    if config.button_template is None or config.buttons_from in (None, UNSET):
        return []
    if not is_array(config.buttons_from):
        raise StepError(
            "buttons_from isn't a list",
            code="AF-REPLY-BUTTONS",
            kind="invalid",
            retryable=False,
            why=f"it is {type(config.buttons_from).__name__}",
        )
    template = compile_value(config.button_template.model_dump())
    return [
        [_BUTTON.validate_python(template.render(_Element(ctx, item, index))).model_dump()]
        for index, item in enumerate(config.buttons_from)
    ]


async def execute(config: ReplyConfig, ctx: Context) -> Result:
    """Send the message and return it with its buttons resolved."""
    rows = [[button.model_dump() for button in row] for row in config.buttons]
    rows += _row_per_element(config, ctx)
    ctx.message([{"text": config.text}], {"kind": "reply", "buttons": rows})
    return Result({"text": config.text, "buttons": rows})


TYPES: tuple[StepType, ...] = (
    StepType(
        name="reply",
        config=ReplyConfig,
        summary="Sends a message with buttons to the channel that the run talks to.",
        execute=execute,
        raw=("button_template",),
    ),
)
