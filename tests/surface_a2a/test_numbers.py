"""What the protocol's types have held is told in one order, and with whole numbers as such."""

from __future__ import annotations

import json

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from agentflow_a2a.numbers import settled


def test_maps_without_an_order_come_out_by_their_names() -> None:
    given = {name: {"two": 2, "one": [1.5, {"z": None, "a": True}]} for name in ("why", "signed", "amount", "b")}
    found = settled(MessageToDict(ParseDict(given, Struct())))
    assert json.dumps(found) == json.dumps(given, sort_keys=True)
