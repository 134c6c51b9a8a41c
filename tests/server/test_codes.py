"""A server that can't begin says why, with a code."""

from __future__ import annotations

import socket

import pytest

from agentflow.definition.config_file import TokenEntry
from agentflow.errors import AgentflowError
from agentflow.server.run import bound
from agentflow.server.who import Tokens


def test_a_port_that_another_program_has_is_told() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(AgentflowError) as caught:
            bound("127.0.0.1", port)
    assert (caught.value.code, caught.value.hint) == ("AF-PORT-TAKEN", f"agentflow serve --port {port + 1}")


def test_an_address_that_this_machine_does_not_have_is_told() -> None:
    with pytest.raises(AgentflowError) as caught:
        bound("192.0.2.1", 0)  # an address for documentation: nobody has it
    assert caught.value.code == "AF-SERVE-ADDRESS"


@pytest.mark.parametrize("env", [{}, {"CI_TOKEN": ""}])
def test_a_token_without_a_value_lets_nobody_in_and_no_server_begin(env: dict[str, str]) -> None:
    with pytest.raises(AgentflowError) as caught:
        Tokens([TokenEntry(name="ci", value_env="CI_TOKEN")], env)
    assert (caught.value.code, caught.value.hint) == ("AF-AUTH-TOKEN", "export CI_TOKEN=…")
