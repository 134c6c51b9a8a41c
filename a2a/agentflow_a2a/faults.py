"""Errors of requests that come to no operation, in the words of each binding. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from agentflow.data import is_array, is_object
from agentflow_a2a.refusals import RefusedError
from agentflow_a2a.versions import unspoken

PARSE, INVALID, CONTENT, PARAMS, VERSION, METHOD = -32700, -32600, -32005, -32602, -32009, -32601
_REASONS: Mapping[int, str] = {
    PARSE: "INVALID_JSON", INVALID: "INVALID_REQUEST", CONTENT: "CONTENT_TYPE_NOT_SUPPORTED", PARAMS: "INVALID_PARAMS",
    VERSION: "VERSION_NOT_SUPPORTED", METHOD: "METHOD_NOT_FOUND",
}  # fmt: skip
_PARSING = b"Failed to parse "
_ERRORS = b'"errors":[{'
_FIELD = re.compile(r"Failed to parse (\w+) field: ")
_TYPE = "type.googleapis.com/google.rpc."


def rpc_error(
    body: bytes, code: int, message: str, status: int = 200, fields: Mapping[str, str] | None = None
) -> Response:
    """Return an error of JSON-RPC.

    Args:
        body: the request, for its id.
        code: the error's code.
        message: what is wrong.
        status: status of HTTP.
        fields: what is wrong with which field.
    """
    error = {"code": code, "message": message, "data": _details(_REASONS[code], fields)}
    return JSONResponse({"jsonrpc": "2.0", "id": _id_of(body), "error": error}, status)


def _id_of(body: bytes) -> Any:
    """Return the id of a request; None: it has none that an answer could repeat."""
    try:
        name: Any = json.loads(body)["id"]
    except (ValueError, KeyError, TypeError):
        return None
    return None if isinstance(name, str) and not is_text(name) else name


def is_text(value: str) -> bool:
    """Tell whether a text can be sent: half of a pair of characters can't."""
    return not any("\ud800" <= char <= "\udfff" for char in value)


def unread(body: bytes, *, rest: bool) -> Response | None:
    """Return what a request is refused with that is no JSON, or, over JSON-RPC, that no answer could name."""
    try:
        told: Any = json.loads(body)
    except ValueError as error:
        why = (
            str(error)
            if isinstance(error, json.JSONDecodeError)
            else "it isn't UTF-8, or has a number that is too long"
        )
        text = f"the request can't be read as JSON: {why}"
        return rest_error(400, "INVALID_ARGUMENT", text) if rest else rpc_error(b"", PARSE, text)
    if rest or not is_object(told):
        return None
    if "method" in told and "id" not in told:
        return rpc_error(b"", INVALID, "a request needs an id: its answer is told by it")
    if isinstance(told.get("id"), str) and not is_text(told["id"]):
        return rpc_error(b"", INVALID, "its id has half of a pair of characters")
    return None


def rest_error(
    code: int, status: str, message: str, reason: str = "INVALID_REQUEST", fields: Mapping[str, str] | None = None
) -> Response:
    """Return an error of HTTP+JSON: its status, as HTTP and google.rpc have it."""
    return JSONResponse(
        {"error": {"code": code, "status": status, "message": message, "details": _details(reason, fields)}},
        code,
        media_type="application/a2a+json",
    )


def refused(error: RefusedError, body: bytes | None) -> Response:
    """Return what is wrong with a parameter; `body`: of the request of JSON-RPC, None: it was one of HTTP+JSON."""
    if body is None:
        return rest_error(400, "INVALID_ARGUMENT", error.message, _REASONS[PARAMS], error.fields)
    return rpc_error(body, PARAMS, error.message, fields=error.fields)


def version(asked: str, body: bytes | None) -> Response:
    """Return the error of a version that nobody speaks here; `body` as of `refused`."""
    if body is None:
        return rest_error(400, "FAILED_PRECONDITION", unspoken(asked), _REASONS[VERSION])
    return rpc_error(body, VERSION, unspoken(asked))


def no_route(status: int) -> Response:
    """Return the error of a path, or of a method of HTTP, that there isn't."""
    if status == 405:
        return rest_error(405, "UNIMPLEMENTED", "this path takes another method of HTTP", "METHOD_NOT_FOUND")
    return rest_error(status, "NOT_FOUND", "no operation has this path", "METHOD_NOT_FOUND")


def worded(details: Any) -> None:
    """Take out of the details of an error what can't be there: an ErrorInfo's metadata is a map of texts."""
    for each in details if is_array(details) else ():
        metadata: Any = each.get("metadata") if is_object(each) else None
        if is_object(metadata):
            metadata.pop("errors", None)  # they are in the details already, as a BadRequest


def named(answer: bytes) -> bytes:
    """Return an error as the SDK tells it in the protocol's words.

    What is of a wrong type is named by its field, where the SDK has told it in a text only; and see `worded`.
    """
    if _PARSING not in answer and _ERRORS not in answer:
        return answer
    try:
        told: Any = json.loads(answer)
    except ValueError:
        return answer
    error: Any = told.get("error") if is_object(told) else None
    if not is_object(error):
        return answer
    text = _parse_error(error)
    names = _FIELD.findall(text or "")
    where = "data" if "data" in error else "details"
    if text is not None and names:
        field, why = ".".join(names), _FIELD.sub("", text).rstrip(".")
        error["message"] = f"{field}: {why}"
        error[where] = _details(_REASONS[PARAMS], {field: why})
    else:
        worded(error.get(where))
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _parse_error(error: Mapping[str, Any]) -> str | None:
    """Return what the SDK says of a request that it can't read: over JSON-RPC in the details, else as the message."""
    data: Any = error.get("data")
    if error.get("code") == PARAMS and is_array(data) and data and is_object(data[0]):
        metadata: Any = data[0].get("metadata")
        text: Any = metadata.get("parseError") if is_object(metadata) else None
    else:
        text = error.get("message") if error.get("status") == "INVALID_ARGUMENT" else None
    return text if isinstance(text, str) else None


def _details(reason: str, fields: Mapping[str, str] | None) -> Sequence[Mapping[str, Any]]:
    info: dict[str, Any] = {
        "@type": f"{_TYPE}ErrorInfo",
        "reason": reason,
        "domain": "a2a-protocol.org",
        "metadata": {},
    }
    if not fields:
        return [info]
    violations = [{"field": name, "description": why} for name, why in fields.items()]
    return [info, {"@type": f"{_TYPE}BadRequest", "fieldViolations": violations}]
