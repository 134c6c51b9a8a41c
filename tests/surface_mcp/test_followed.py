"""Who subscribes to much loses what it has subscribed to first, and nobody else does."""

from __future__ import annotations

import pytest

from agentflow.principal import Principal
from agentflow_mcp.followed import Followed

pytestmark = pytest.mark.anyio
ALICE, BOB = Principal("alice"), Principal("bob")


async def test_one_who_follows_too_much_takes_nothing_from_others() -> None:
    followed = Followed(2)
    hers = followed.begin(("a", "uri"), ALICE)
    first, *rest = [followed.begin(("b", str(number)), BOB) for number in range(3)]
    assert hers is not None
    assert first is not None
    assert not hers.cancel_called
    assert first.cancel_called
    assert all(each is not None and not each.cancel_called for each in rest)


async def test_a_place_is_followed_once_until_it_is_left() -> None:
    followed = Followed(2)
    first = followed.begin(("a", "uri"), ALICE)
    assert first is not None
    assert followed.begin(("a", "uri"), ALICE) is None
    followed.end(("a", "uri"))
    assert first.cancel_called
    again = followed.begin(("a", "uri"), ALICE)
    assert again is not None
    followed.end(("a", "uri"), first)  # what was followed before ends late
    assert not again.cancel_called
