"""Sealing: what is sealed can't be read, changed, or used for anything else."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest

from agentflow.errors import AgentflowError, InputError
from agentflow.sealing import Sealer, keys_of, new_key

SECRET = b"hunter2-and-more"


def sealer(*keys: str) -> Sealer:
    return Sealer(lambda: keys_of(",".join(keys)))


def test_what_was_sealed_opens_for_the_same_purpose_and_owner() -> None:
    one = sealer(new_key())
    text = one.seal(SECRET, purpose="push", owner="kim")
    assert one.open(text, purpose="push", owner="kim") == SECRET
    assert one.open(one.seal(b"", purpose="push", owner=""), purpose="push", owner="") == b""


@pytest.mark.a2a("PUSH-14")
def test_the_text_shows_nothing_and_is_another_one_each_time() -> None:
    one = sealer(new_key())
    texts = {one.seal(SECRET, purpose="push", owner="kim") for _ in range(50)}
    assert len(texts) == 50
    for text in texts:
        assert text.isascii()
        assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
        assert SECRET not in base64.urlsafe_b64decode(text[3:] + "==")


@pytest.mark.parametrize(("purpose", "owner"), [("push", "lee"), ("state", "kim"), ("pushk", "im"), ("", "pushkim")])
def test_it_opens_for_nothing_and_nobody_else(purpose: str, owner: str) -> None:
    one = sealer(new_key())
    text = one.seal(SECRET, purpose="push", owner="kim")
    with pytest.raises(InputError) as refused:
        one.open(text, purpose=purpose, owner=owner)
    assert refused.value.code == "AF-SEAL-BROKEN"
    assert refused.value.why == "it was changed, or sealed for something else"


def test_a_text_in_which_one_character_was_changed_doesnt_open() -> None:
    one = sealer(new_key())
    text = one.seal(SECRET, purpose="push", owner="kim")
    for place in range(len(text) - 1):  # of the last character some bits mean nothing
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        with pytest.raises(InputError, match="can't be opened"):
            one.open(changed, purpose="push", owner="kim")


@pytest.mark.parametrize("text", ["", "s1.", "s1.AAAA", "s2.AAAA", "hello", "s1.\xe4", "s1.!!!!", "s1." + "A" * 26])
def test_what_never_was_sealed_is_refused_as_such(text: str) -> None:
    with pytest.raises(InputError) as refused:
        sealer(new_key()).open(text, purpose="push", owner="kim")
    assert refused.value.code == "AF-SEAL-BROKEN"


def test_after_a_rotation_the_new_key_seals_and_the_old_one_still_opens() -> None:
    old, new = new_key(), new_key()
    before = sealer(old).seal(SECRET, purpose="push", owner="kim")
    both = sealer(new, old)
    assert both.open(before, purpose="push", owner="kim") == SECRET
    after = both.seal(SECRET, purpose="push", owner="kim")
    assert sealer(new).open(after, purpose="push", owner="kim") == SECRET
    with pytest.raises(InputError) as refused:
        sealer(new).open(before, purpose="push", owner="kim")
    assert refused.value.why == "it was sealed with another key"
    assert old not in str(refused.value.hint)


@pytest.mark.parametrize(
    "written",
    [
        "00" * 32,
        base64.b64encode(b"\xff" * 32).decode(),
        base64.urlsafe_b64encode(b"\xff" * 32).decode().rstrip("="),
        f" {'ab' * 32} , {'A' * 43},",
    ],
)
def test_a_key_is_written_in_hexadecimal_or_in_either_base64(written: str) -> None:
    assert all(len(key) == 32 for key in keys_of(written))


@pytest.mark.parametrize("written", [",", "secret", "ab" * 31, "ä" * 32, f"{'A' * 43},short", "A" * 45])
def test_what_is_no_key_is_refused_and_not_repeated(written: str) -> None:
    with pytest.raises(AgentflowError) as refused:
        keys_of(written)
    assert refused.value.code == "AF-SEAL-KEY"
    assert written not in f"{refused.value} {refused.value.why} {refused.value.hint}"


def test_who_seals_nothing_doesnt_load_cryptography() -> None:
    script = "import sys, agentflow.engine.engine; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
