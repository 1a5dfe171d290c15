"""What a phone shows of a second factor."""

from __future__ import annotations

import pyotp

from syncd.auth.second_factor import Enrolment
from tests.auth.house import ANN, PASSWORD, House

__all__ = ["enrolled", "shown"]


def shown(house: House, enrolment: Enrolment, *, steps: int = 0) -> str:
    """What a phone shows now, or so many steps from now."""
    return pyotp.TOTP(enrolment.secret).at(house.clock() // 1000, counter_offset=steps)


async def enrolled(house: House, email: str = ANN) -> tuple[str, Enrolment, list[str]]:
    """A member with a second factor, one step after it was confirmed."""
    account = await house.member(email)
    enrolment = await house.second_factor.enrol(account, PASSWORD)
    recovery = await house.second_factor.confirm(account, shown(house, enrolment))
    house.clock.advance(30)
    return account, enrolment, list(recovery)
