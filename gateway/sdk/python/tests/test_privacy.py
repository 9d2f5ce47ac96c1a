"""Sessions, the newsletter, export and erasure, against a gateway that serves them."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import pytest

import spaceduck
from test_live import PASSWORD, names, until

GATEWAY = pathlib.Path(os.environ["DUCK_BIN"], "duckgate")
pytestmark = pytest.mark.skipif(b"/beak/sessions" not in GATEWAY.read_bytes(),
                                reason="this gateway shows no sessions")


def operator(node: Any) -> tuple[spaceduck.Duck, str, str]:
    email = next(names)
    with spaceduck.Duck(api_base=node.url) as stranger:
        stranger.hatch(email, "Private", PASSWORD)
        hatched = stranger.verify(email, node.mail_code(email))
        token = stranger.auth(email, PASSWORD)["token"]
    return spaceduck.Duck(token=token, api_base=node.url), email, str(hatched["duckling_id"])


def test_sessions_are_seen_and_ended(pond: Any) -> None:
    first, email, _ = operator(pond.alice)
    others = [spaceduck.Duck(token=first.auth(email, PASSWORD)["token"], api_base=pond.alice.url)
              for _ in range(2)]
    seen = list(first.sessions())
    assert len(seen) == 3 and sum(each["current"] for each in seen) == 1
    others[0].end_session(next(each for each in others[0].sessions() if each["current"])["session_id"])
    with pytest.raises(spaceduck.Unauthorized):
        others[0].pulse()
    first.end_other_sessions()
    with pytest.raises(spaceduck.Unauthorized):
        others[1].pulse()
    assert len(list(first.sessions())) == 1 and list(first.passkeys()) == []
    assert first.passkey_challenge()["challenge"]


def test_the_newsletter_is_confirmed_and_left(pond: Any) -> None:
    email = next(names)
    anybody = spaceduck.Duck(api_base=pond.alice.url)
    assert anybody.captcha()["provider"] == "none"
    anybody.subscribe(email)
    done = anybody.confirm_subscription(email, pond.alice.mail_code(email))
    assert done["status"] == "subscribed"
    anybody.unsubscribe(email, done["unsubscribe_token"])


def test_what_is_kept_is_told_and_then_erased(pond: Any) -> None:
    own, email, duckling_id = operator(pond.alice)
    kept = own.export()
    assert kept["operator"]["email"] == email
    assert [each["duckling_id"] for each in kept["ducklings"]] == [duckling_id]
    own.erase_account()
    with pytest.raises(spaceduck.Unauthorized):
        own.auth(email, PASSWORD)
    until("its record to be emptied", lambda: own.duckling(duckling_id)["display_name"] != "Private")
