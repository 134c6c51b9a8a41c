"""What a message says: as the answer to a wait, or as the input of a workflow. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from agentflow.data import is_array, is_object, parse
from agentflow.definition.typed_text import read_value, resolve, types_of
from agentflow_a2a.files import answer_of, file_of, filled, without_files
from agentflow_a2a.refusals import RefusedError, invalid

ACCEPTED = ("text/plain", "application/json")
"""Media types of what messages may hold, beside files."""
_BLANK = " \t\r\n\ufeff"
Json = dict[str, Any]


class Said(NamedTuple):
    """What a message's parts hold."""

    text: str
    """Its texts, joined by blank lines."""
    data: Sequence[Any]
    """Its data parts."""
    files: Sequence[Json] = ()
    """Its files: see `files`."""


class Named(NamedTuple):
    """An answer that says which step it is for."""

    step: str
    answer: Any


def said(message: Mapping[str, Any]) -> Said:
    """Return what a message's parts hold; raises RefusedError for texts of media types that nobody reads."""
    texts, data, files = list[str](), list[Any](), list[Json]()
    for n, part in enumerate(message.get("parts") or ()):
        if "raw" in part or "url" in part:
            files.append(file_of(part, f"message.parts[{n}]"))
            continue
        media = str(part.get("mediaType") or "").partition(";")[0].strip().lower()
        if media and media not in ACCEPTED and not media.startswith("text/"):
            raise RefusedError(
                "content_type", f'message.parts[{n}]: "{media}" isn\'t taken; {" and ".join(ACCEPTED)} are'
            )
        if "data" in part:
            data.append(part["data"])
        elif "text" in part:
            texts.append(part["text"])
        else:
            raise invalid(f"message.parts[{n}]", "it has no content: text, data, url or raw")
    return Said("\n\n".join(texts), data, files)


def named(content: Said) -> Named | None:
    """Return the answer that a message's data part gives to a named step: `{"step": …, "answer": …}`."""
    for value in content.data:
        if is_object(value) and set(value) == {"step", "answer"} and isinstance(value["step"], str):
            return Named(value["step"], value["answer"])
    return None


def as_answer(content: Said, schema: Mapping[str, Any] | None) -> Any:
    """Return the value that a message answers with: its data, else its text as the schema reads it, and its files.

    Raises:
        ValueError: the text isn't of the type that is asked for; the message says what it should be.
    """
    if content.files:
        return _with_files(content, schema)
    if content.data:
        return content.data[0] if len(content.data) == 1 else list(content.data)
    if schema is None:
        return content.text
    return _read(content.text.strip(), resolve(schema), schema)


def _with_files(content: Said, schema: Mapping[str, Any] | None) -> Any:
    files, bare = content.files, content._replace(files=())
    said_more = bool(content.data or content.text.strip())
    if schema is None:
        alone = files[0] if len(files) == 1 else list(files)
        return {"answer": as_answer(bare, None), "files": list(files)} if said_more else alone
    whole = answer_of(files, schema)
    if whole is not None and not said_more:
        return whole
    value, left = filled(as_answer(bare, without_files(schema)) if said_more else {}, files, schema)
    if left:
        raise ValueError(f"{left} of its files are for nothing that is asked for")
    return value


def _read(text: str, schema: Mapping[str, Any], root: Any) -> Any:
    choices: Any = schema.get("enum")
    if is_array(choices):
        for choice in choices:
            if isinstance(choice, str) and choice.lower() == text.lower():
                return choice
    if "object" not in types_of(schema) and "properties" not in schema:
        return read_value(text, schema)
    value = _object(text)
    if value is not None:
        return value
    only = text_field(schema, root)
    if only is None:
        raise ValueError("it must be JSON, an object with the fields of the schema")
    return {only: _read(text, _property(schema, only, root), root)}


def text_field(schema: Mapping[str, Any], root: Any = None) -> str | None:
    """Return the field of an object that a plain text can only mean: the one required, or the one without a default."""
    properties: Any = resolve(schema, root).get("properties")
    if not is_object(properties):
        return None
    required: Any = schema.get("required")
    if is_array(required) and required:
        return str(required[0]) if len(required) == 1 else None
    bare = [name for name, field in properties.items() if not (is_object(field) and "default" in field)]
    return bare[0] if len(bare) == 1 else None


def _property(schema: Mapping[str, Any], name: str, root: Any) -> Json:
    properties: Any = schema.get("properties")
    return resolve(properties.get(name), root) if is_object(properties) else {}


def as_input(content: Said, schema: Mapping[str, Any] | None) -> Any:
    """Return the input that a message starts a workflow with: its data, else its text for the declared field.

    Its files are for the fields that take some.

    Raises:
        ValueError: it can't be told which input the text is.
    """
    value = _as_input(content, without_files(schema) if schema is not None else None)
    return filled(value, content.files, schema)[0]


def _as_input(content: Said, schema: Mapping[str, Any] | None) -> Any:
    if content.data:
        value: Any = content.data[0] if len(content.data) == 1 else list(content.data)
        only = text_field(schema) if schema is not None else None
        if content.text and only is not None and is_object(value) and only not in value:
            value = {**value, only: content.text}
        return value
    if not content.text.strip():
        if schema is not None and schema.get("required"):
            raise ValueError("the message says nothing of it")
        return {}
    if schema is None:
        value = _object(content.text)
        return {"text": content.text} if value is None else value
    if not resolve(schema).get("properties") and "object" in types_of(schema):
        value = _object(content.text)
        return {} if value is None else value
    if not schema.get("required") and text_field(schema) is None:
        value = _object(content.text)  # else it says nothing of the input; steps may read the message itself
        return {} if value is None else value
    only = text_field(schema)
    types = types_of(_property(schema, only, schema)) if only is not None else []
    if "array" in types and "string" not in types and not content.text.lstrip(_BLANK).startswith(("[", "{")):
        raise ValueError(f"{only} is a list: a message that isn't asked for it says one as JSON")
    return _read(content.text, resolve(schema), schema)


def _object(text: str) -> Any:
    if not text.lstrip(_BLANK).startswith("{"):  # most texts are no JSON: to find out what is wrong with it takes long
        return None
    try:
        value = parse(text)
    except ValueError:
        return None
    return value if is_object(value) else None
