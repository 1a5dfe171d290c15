"""What holds a secret does not show it to whoever writes it into a log, or reads a traceback."""

from __future__ import annotations

import pytest

from syncd.auth.api_keys import Key, NewKey
from syncd.auth.mail_texts import Mail
from syncd.auth.refresh_tokens import RefreshToken
from syncd.auth.second_factor import Enrolment
from syncd.auth.sessions import Tokens
from syncd.engine.share_links import MadeLink, ShareLink
from syncd.store.accounts import AccountRow, ApiKeyRow, CodeRow, SessionRow

SECRET = "nobody-may-read-this"
DIGEST = SECRET.encode()

HOLDERS = [
    Tokens("a", "s", SECRET, 1, SECRET, 2),
    RefreshToken(SECRET, SECRET),
    NewKey(SECRET, Key("a", "nightly", 1, None, None, None, None)),
    Enrolment(SECRET, f"otpauth://totp/{SECRET}"),
    Mail("a@club.example", "a", SECRET, 1),
    MadeLink(ShareLink("a", "match:1", "", "", 1, None, None), SECRET),
    AccountRow("a", 1, password_hash=SECRET, totp_secret=SECRET),
    SessionRow("a", "b", DIGEST, DIGEST, 1, 1, 1, previous=DIGEST, salt=DIGEST),
    CodeRow(DIGEST, "a", "b", 1),
    ApiKeyRow("a", "b", DIGEST, "nightly", 1),
]


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_no_secret_is_in_a_representation(holder: object) -> None:
    for shown in (repr(holder), str(holder), f"{[holder]}"):
        assert SECRET not in shown
        assert type(holder).__name__ in shown
        assert "'a'" in shown or isinstance(holder, RefreshToken | Enrolment), "the rest is told"
