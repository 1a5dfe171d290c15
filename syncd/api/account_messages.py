"""What requests about accounts may say, checked as strictly as the messages of the protocol.

Lengths are bounded here so that nothing long is hashed or looked up; what an address, a name or a password may be,
`syncd.auth` says.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from conflict_rules.values import MAX_INTEGER
from syncd.api.envelope import Envelope, UrlQuery

__all__ = [
    "ChangeEmail",
    "ChangePassword",
    "CodeMessage",
    "ConfirmSecondFactor",
    "CreateApiKey",
    "CreateOwnApiKey",
    "CreateUser",
    "DeviceMessage",
    "EmailMessage",
    "EnrolSecondFactor",
    "EraseAccount",
    "EraseMe",
    "FinishSignIn",
    "LogInRequest",
    "LogOutRequest",
    "ProviderLogIn",
    "RefreshRequest",
    "RegisterRequest",
    "RemoveSecondFactor",
    "ResetPassword",
    "RevokeToken",
    "SetRoles",
    "SetTier",
    "UserQuery",
]

Text = Annotated[str, Field(max_length=1024)]
"""Longer than any address, password, code or name that is taken."""
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
Seconds = Annotated[int, Field(ge=1, le=10 * 366 * 24 * 3600)]


class EmailMessage(Envelope):
    """Send mail to this address."""

    email: Text


class RegisterRequest(Envelope):
    """Somebody who wants an account."""

    email: Text
    password: Text
    name: Text = ""


class CodeMessage(Envelope):
    """A code from a mail."""

    code: Text


class ResetPassword(Envelope):
    """A new password, by a code from a mail."""

    code: Text
    password: Text


class ChangePassword(Envelope):
    """A new password, by the one of now."""

    old: Text
    new: Text


class ChangeEmail(Envelope):
    """Another address for the account."""

    password: Text
    email: Text


class DeviceMessage(Envelope):
    """What a device says of itself. `id`: its own name for itself, to which the session is bound."""

    id: Text = ""
    name: Text = ""
    platform: Text = ""


class LogInRequest(Envelope):
    """`cookie`: whether the refresh token is to come as a cookie. `refresh_token`: one that this device had before."""

    email: Text
    password: Text
    device: DeviceMessage = DeviceMessage()
    second_factor: Text | None = None
    cookie: bool = False
    refresh_token: Text | None = None


class ProviderLogIn(Envelope):
    """The id token of a provider, and the nonce that the sign-in was begun with."""

    id_token: Annotated[str, Field(max_length=16_384)]
    nonce: Text
    device: DeviceMessage = DeviceMessage()
    second_factor: Text | None = None
    cookie: bool = False


class FinishSignIn(Envelope):
    """The second factor of somebody whom a provider has sent back."""

    second_factor: Text
    device: DeviceMessage = DeviceMessage()


class RefreshRequest(Envelope):
    """`refresh_token`: None if it comes as a cookie. `device`: the id that the device named at log-in."""

    refresh_token: Text | None = None
    device: Text = ""


class LogOutRequest(Envelope):
    """`everywhere`: all devices of the account; with `keep_this`, all but the one that asks."""

    refresh_token: Text | None = None
    everywhere: bool = False
    keep_this: bool = False


class EnrolSecondFactor(Envelope):
    """Begin with a second factor."""

    password: Text


class EraseMe(Envelope):
    """To be forgotten. `dry_run`: count what would go, and change nothing; otherwise with the account's `password`, and
    with a code, `second_factor`, where it asks for one.
    """

    dry_run: bool = False
    password: Text | None = None
    second_factor: Text | None = None


class EraseAccount(Envelope):
    """The same, asked by whoever runs the server. `confirm`: the id of the account once more, unless `dry_run`."""

    dry_run: bool = False
    confirm: Text | None = None


class ConfirmSecondFactor(Envelope):
    """The first code that the phone shows."""

    code: Text


class RemoveSecondFactor(Envelope):
    """`code`: of now, or a recovery code."""

    password: Text
    code: Text


class CreateApiKey(Envelope):
    """`scopes`: the only ones that it opens; None: all that the account may. `lifetime_s`: None for no end."""

    name: Text = ""
    scopes: Annotated[list[Text], Field(max_length=1000)] | None = None
    lifetime_s: Seconds | None = None


class CreateOwnApiKey(CreateApiKey):
    """One's own. `password`: of the account, if it has one."""

    password: Text | None = None


class UserQuery(UrlQuery):
    """Which accounts: the one with this address, or those whose ids come after `after`."""

    email: Annotated[str, Field(max_length=1024)] | None = None
    after: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{0,64}$")] = ""
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class CreateUser(Envelope):
    """Somebody who is to get an account, and a mail with which to set a password."""

    email: Text
    name: Text = ""
    roles: Annotated[list[Text], Field(default_factory=list, max_length=1000)]


class SetRoles(Envelope):
    """These roles in the whole app, and no others."""

    roles: Annotated[list[Text], Field(max_length=1000)]


class SetTier(Envelope):
    """The tier of the account's limits; "" for the ordinary one. It counts like a role, so it cannot be just any."""

    tier: Literal["", "premium", "partner"]


class RevokeToken(Envelope):
    """One access token, by its `jti`, and when it would have ended."""

    id: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,256}$")]
    expires_at_ms: Annotated[int, Field(ge=0, le=MAX_INTEGER)]
