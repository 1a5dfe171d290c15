"""Whose a replica is: it belongs to the account that first pushed with it, and nobody else is seen under its name."""

from __future__ import annotations

from syncd.engine.principal import Caller, Principal
from syncd.engine.push import check_own_name
from syncd.errors import Forbidden
from syncd.store.protocol import Store

__all__ = ["check_own_replica"]


async def check_own_replica(store: Store, replica: str, principal: Principal) -> None:
    """Raise `Forbidden` if `replica`, a valid id, is another account's; `InvalidMessage` for a name of the server's.

    One that never pushed is nobody's yet. Whoever runs the server may use any.
    """
    check_own_name(replica, principal)
    if principal.caller is Caller.OPERATOR:
        return
    async with store.snapshot() as snapshot:
        owner = (await snapshot.owners([replica])).get(replica, "")
    if owner and owner != principal.user:
        raise Forbidden("this replica belongs to somebody else", code="foreign_replica", field="replica")
