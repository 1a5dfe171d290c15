"""Whose a replica is: it belongs to the account that first pushed with it or was seen under it, and to nobody else."""

from __future__ import annotations

from collections.abc import Callable

from syncd.engine.principal import AsOfNow, Caller, Principal
from syncd.engine.push import check_own_name
from syncd.errors import Forbidden
from syncd.store.protocol import Commit, ReplicaRow, Store, Wanted

__all__ = ["claim_replica"]


async def claim_replica(
    store: Store, now_ms: Callable[[], int], as_of_now: AsOfNow, replica: str, principal: Principal
) -> None:
    """Make `replica`, a valid id, his who is about to be seen under it, unless it has a past that is nobody's.

    Others learn the id when he is seen: none of them may push with it before he does, and keep him out of it.
    Raises `Forbidden` if it is another account's; `InvalidMessage` for a name of the server's; and what `as_of_now`
    raises, for an account that is no more. Whoever runs the server may use any.
    """
    check_own_name(replica, principal)
    if principal.caller is Caller.OPERATOR:
        return
    async with store.snapshot() as snapshot:
        owner = (await snapshot.owners([replica])).get(replica, "")
    if not owner and principal.user:
        owner = await _claimed(store, now_ms(), as_of_now, replica, principal)
    if owner and owner != principal.user:
        raise Forbidden("this replica belongs to somebody else", code="foreign_replica", field="replica")


async def _claimed(store: Store, now_ms: int, as_of_now: AsOfNow, replica: str, principal: Principal) -> str:
    async with store.transaction(replicas=[replica], scopes=[]) as transaction:
        loaded = await transaction.load(Wanted(replicas=[replica]))
        row = loaded.replicas.get(replica, ReplicaRow(replica))
        if row.user or row.settled:
            return row.user
        # Under the lock: whoever erases the account after this finds the replica.
        user = as_of_now(principal).user
        await transaction.commit(Commit(replicas=[row._replace(user=user, seen_at_ms=now_ms)]))
        return user
