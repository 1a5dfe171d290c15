"""Whether a device has been logged in to an account before: shown by the last refresh token that it had.

Only who has been given that token can show it, so a device is known without anybody being told whether an account is.
"""

from __future__ import annotations

from typing import Final

from syncd.auth.email_address import normal_email
from syncd.auth.refresh_tokens import read_refresh_token
from syncd.auth.secret_text import digest, same
from syncd.auth.sessions import LOGGED_IN_ANEW, LOGGED_OUT
from syncd.errors import InvalidMessage, Unauthenticated
from syncd.store.accounts import AccountReads

__all__ = ["known_device"]

_ENDED_BY_ITSELF: Final = frozenset({LOGGED_OUT, LOGGED_IN_ANEW})


async def known_device(accounts: AccountReads, email: str, token: str | None) -> str:
    """A name for the session of which `token` is the newest, if it is one of the account with this address; else "".

    It goes on, has expired, or was ended by the device itself. One that was ended from elsewhere shows nothing: there
    was a copy of its token, the password is another now, or its owner has just sent that device away.
    """
    if not token:
        return ""
    try:
        shown, email = read_refresh_token(token), normal_email(email)
    except (Unauthenticated, InvalidMessage):
        return ""
    row = await accounts.session_by_family(digest(shown.family))
    if row is None or not same(digest(shown.secret), row.current):
        return ""
    if row.revoked_at_ms is not None and row.revoked_why not in _ENDED_BY_ITSELF:
        return ""
    account = await accounts.account(row.account)
    return row.family.hex() if account is not None and account.email == email else ""
