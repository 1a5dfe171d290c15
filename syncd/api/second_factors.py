"""The second factor over HTTP: begin, confirm, remove."""

from __future__ import annotations

from aiohttp import web

from syncd.api.account_gate import AccountGate, answered
from syncd.api.account_messages import ConfirmSecondFactor, EnrolSecondFactor, RemoveSecondFactor
from syncd.api.guesses import Guesses

__all__ = ["SecondFactorRoutes"]


class SecondFactorRoutes:
    """Under `/auth/v1/second-factor`, for people who have logged in."""

    def __init__(self, gate: AccountGate, guesses: Guesses) -> None:
        self._gate = gate
        self._guesses = guesses

    async def enrol(self, request: web.Request) -> web.Response:
        """`POST enrol`: a secret for the phone, shown this once; it counts when it was confirmed."""
        person = await self._gate.person(request)
        message, answer_in = await self._gate.message(request, EnrolSecondFactor)
        async with self._guesses.counted(request, person.user):
            enrolment = await self._gate.people.second_factor.enrol(person.user, message.password)
        return answered(request, {"secret": enrolment.secret, "uri": enrolment.uri}, answer_in)

    async def confirm(self, request: web.Request) -> web.Response:
        """`POST confirm`: from now on a log-in takes it; ten recovery codes, shown this once."""
        person = await self._gate.person(request)
        message, answer_in = await self._gate.message(request, ConfirmSecondFactor)
        async with self._guesses.counted(request, person.user):
            codes = await self._gate.people.second_factor.confirm(person.user, message.code)
        return answered(request, {"recovery_codes": list(codes)}, answer_in)

    async def remove(self, request: web.Request) -> web.Response:
        """`POST remove`: by the password and a code."""
        person = await self._gate.person(request)
        message, answer_in = await self._gate.message(request, RemoveSecondFactor)
        async with self._guesses.counted(request, person.user):
            await self._gate.people.second_factor.remove(person.user, message.password, message.code)
        return answered(request, {}, answer_in)
