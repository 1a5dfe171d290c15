"""Access tokens: issuing our own, and verifying those of everybody whom the configuration trusts (RFC 7519, RFC 8725).

A token says who issued it; that chooses a `Policy`, and everything else is done by the policy: its keys, its
algorithms, its audience. Nobody outside learns why a token was refused, but for its times; a debug line in the log
says it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import jwt
import structlog

from syncd.auth.claims import Claims, InvalidClaims, claims_of, read_payload
from syncd.auth.policy import OWN_KIND, REQUIRED, Policy
from syncd.auth.signing import SigningKeys
from syncd.errors import Unauthenticated

__all__ = ["MAX_TOKEN_LENGTH", "Issued", "TokenIssuer", "TokenVerifier"]

log = structlog.get_logger(__name__)

MAX_TOKEN_LENGTH: Final = 8192
"""Of a token, in characters; longer ones are refused before anything in them is read."""

_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""RFC 7515, section 7.1, with a signature and without the padding that some libraries let pass."""
_MAX_KID: Final = 200
_REMEMBER_MS: Final = 60_000
"""How long a verified token is believed without a look at the keys, so that a key taken back is noticed."""

_JWS: Final = jwt.PyJWS()


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, when it expires (ms since 1970), and its id, by which it can be revoked."""

    token: str = field(repr=False)
    expires_at_ms: int
    id: str


class TokenIssuer:
    """Issues access tokens. `lifetime_s`: of a token that is asked for without one."""

    def __init__(
        self,
        keys: SigningKeys,
        now_ms: Callable[[], int],
        *,
        issuer: str,
        audiences: Collection[str],
        lifetime_s: int,
    ) -> None:
        self._keys = keys
        self._now_ms = now_ms
        self._issuer = issuer
        self._audiences = sorted(audiences)
        self._lifetime_s = lifetime_s

    def issue(
        self, subject: str, *, session: str = "", roles: Iterable[str] = (), lifetime_s: int | None = None
    ) -> Issued:
        """A token for the account `subject`, in whole seconds, as RFC 7519 has its times.

        `lifetime_s`: shorter than that of others; a longer one is not taken for longer.

        Raises `ValueError` if our own verifier would refuse it: a subject that is no id, a role with a space in it.
        """
        issued_at_s = self._now_ms() // 1000
        lifetime_s = self._lifetime_s if lifetime_s is None else lifetime_s
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audiences,
            "sub": subject,
            "iat": issued_at_s,
            "exp": issued_at_s + lifetime_s,
            "jti": secrets.token_urlsafe(16),
            "roles": sorted(roles),
        }
        if session:
            claims["sid"] = session
        claims_of(claims)
        return Issued(self._keys.active.sign(claims, OWN_KIND), claims["exp"] * 1000, claims["jti"])

    def policy(self) -> Policy:
        """What verifies the tokens that are issued here."""
        return Policy(
            issuer=self._issuer,
            audiences=frozenset(self._audiences),
            algorithms=self._keys.algorithms,
            keys=self._keys,
            required=frozenset({"iat", "jti"}),
            own_ids=True,
            kind=OWN_KIND,
            # Revocations are remembered for so long. A token of when it was longer must not outlive its own.
            lifetime_s=self._lifetime_s,
        )


class TokenVerifier:
    """Verifies tokens of the issuers that `policies` name, each once; raises `ValueError` for two of one issuer.

    `leeway_s`: by how much the clocks of issuers may differ from `now_ms`. `remembered_count`: verified tokens that are
    known again without computing; 0: none.
    """

    def __init__(
        self, policies: Iterable[Policy], now_ms: Callable[[], int], leeway_s: int = 60, *, remembered_count: int = 4096
    ) -> None:
        self._policies: dict[str, Policy] = {}
        for policy in policies:
            if policy.issuer in self._policies:
                raise ValueError(f"there are two policies for the issuer {policy.issuer!r}")
            self._policies[policy.issuer] = policy
        self._now_ms = now_ms
        self._leeway_ms = leeway_s * 1000
        self._remembered: OrderedDict[bytes, tuple[Claims, int]] = OrderedDict()
        self._remembered_count = remembered_count

    async def verify(self, token: str) -> Claims:
        """What the token says, now that it is known to be true.

        Raises `Unauthenticated` with the code `token_invalid`, `token_expired` or `token_not_yet_valid`, and
        `IssuerUnavailable` if the keys to tell by cannot be had.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise _refused("longer than a token may be")
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        claims = self._recall(digest)
        if claims is None:
            claims = await self._verified(token)
            self._remember(digest, claims)
        self._check_times(claims)
        return claims

    async def _verified(self, token: str) -> Claims:
        """The claims of a token whose signature, issuer and audience are right; its times are not looked at."""
        header, payload, signature = _parts(token)
        policy, raw = self._policy_of(payload)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in policy.algorithms:
            raise _refused("the algorithm is not one of its issuer's", policy)
        kid = header.get("kid")
        if kid is not None and not (isinstance(kid, str) and len(kid) <= _MAX_KID):
            raise _refused("kid is not a short text", policy)
        signing_input = token.rpartition(".")[0].encode()
        keys = await policy.keys.find(kid, algorithm)
        if not keys:
            raise _refused("no such key", policy)
        if not any(key.verifies(signing_input, signature) for key in keys if key.algorithm == algorithm):
            raise _refused("the signature is wrong", policy)
        if policy.kind and _kind(header) != policy.kind:
            raise _refused("it is a token for another purpose", policy)
        if not (REQUIRED | policy.required) <= raw.keys():
            raise _refused("a claim is missing", policy)
        try:
            claims = claims_of(raw, roles_claim=policy.roles_claim, own_ids=policy.own_ids)
        except InvalidClaims as invalid:
            raise _refused(invalid.reason, policy) from None
        if not claims.audience & policy.audiences:
            raise _refused("it is for another audience", policy)
        if policy.lifetime_s is None or claims.issued_at_ms is None:
            return claims
        longest_ms = claims.issued_at_ms + policy.lifetime_s * 1000
        return replace(claims, expires_at_ms=min(claims.expires_at_ms, longest_ms))

    def _policy_of(self, payload: bytes) -> tuple[Policy, Mapping[str, object]]:
        try:
            raw = read_payload(payload)
        except InvalidClaims as invalid:
            raise _refused(invalid.reason) from None
        issuer = raw.get("iss")
        policy = self._policies.get(issuer) if isinstance(issuer, str) else None
        if policy is None:
            raise _refused("nobody whom this server trusts has issued it")
        return policy, raw

    def _check_times(self, claims: Claims) -> None:
        """Raise `Unauthenticated` outside the token's time (RFC 7519, sections 4.1.4 to 4.1.6)."""
        now_ms = self._now_ms()
        if now_ms - self._leeway_ms >= claims.expires_at_ms:
            raise Unauthenticated(
                "this token has expired",
                code="token_expired",
                hint="Get a new one with the refresh token, or sign in again; nothing was applied.",
            )
        if max(claims.not_before_ms or 0, claims.issued_at_ms or 0) > now_ms + self._leeway_ms:
            raise Unauthenticated(
                "this token is not valid yet",
                code="token_not_yet_valid",
                hint="Wait until it is; if it was just issued, its issuer's clock and the server's differ.",
            )

    def _recall(self, digest: bytes) -> Claims | None:
        known = self._remembered.get(digest)
        if known is None:
            return None
        claims, since_ms = known
        if not 0 <= self._now_ms() - since_ms < _REMEMBER_MS:
            del self._remembered[digest]
            return None
        self._remembered.move_to_end(digest)
        return claims

    def _remember(self, digest: bytes, claims: Claims) -> None:
        if self._remembered_count:
            self._remembered[digest] = (claims, self._now_ms())
            while len(self._remembered) > self._remembered_count:
                self._remembered.popitem(last=False)


def _parts(token: str) -> tuple[Mapping[str, object], bytes, bytes]:
    """Header, payload and signature of the compact form, none of which is to be believed yet."""
    if _COMPACT.fullmatch(token) is None:
        raise _refused("not three parts in base64url")
    try:
        read = _JWS.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise _refused("its parts cannot be read") from None
    header = read["header"]
    # Extensions that have to be understood (RFC 7515, section 4.1.11), of which there are none here, and RFC 7797.
    if "crit" in header or "b64" in header:
        raise _refused("the header asks for an extension")
    return header, read["payload"], read["signature"]


def _kind(header: Mapping[str, object]) -> str:
    kind = header.get("typ")
    return kind.lower().removeprefix("application/") if isinstance(kind, str) else ""


def _refused(reason: str, policy: Policy | None = None) -> Unauthenticated:
    """`reason`: for whoever reads the log at its most talkative; it repeats nothing of the token."""
    log.debug("token_refused", reason=reason, issuer=None if policy is None else policy.issuer)
    return Unauthenticated(
        "this token is not valid here",
        code="token_invalid",
        hint="Sign in again. If the token is of another issuer, the operator finds the reason in the log, at debug.",
    )
