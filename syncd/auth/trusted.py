"""Whom the operator trusts to say who somebody is, as it is configured: issuers of tokens, Google, Apple.

Models of settings, checked when the server starts; nothing is fetched by them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from syncd.auth.fetching import Fetcher, checked_url
from syncd.auth.identity import (
    APPLE_ISSUERS,
    APPLE_JWKS_URL,
    GOOGLE_ISSUERS,
    GOOGLE_JWKS_URL,
    IdentityProvider,
    NonceForm,
)
from syncd.auth.jwks import JwksSource
from syncd.auth.keys import PUBLIC_KEY_ALGORITHMS, KeySource, StaticKeys, VerificationKey, keys_of_jwks
from syncd.auth.oauth import GOOGLE_AUTHORIZE_URL, GOOGLE_TOKEN_URL, CodeFlow
from syncd.auth.policy import Policy

__all__ = ["Algorithm", "AppleSignIn", "GoogleSignIn", "SignIn", "TrustedIssuer"]

Algorithm = Literal["HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA"]
"""What a token may be signed by."""

_Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_Texts = Annotated[tuple[_Text, ...], Field(min_length=1)]
_Url = Annotated[str, AfterValidator(checked_url)]

_CONFIG: Final = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TrustedIssuer(BaseModel):
    """Somebody whose access tokens are taken. One of `jwks_url`, `jwks` (a JWK Set) and `secret` says by which keys.

    `audiences`: of which a token must name one. `roles_claim`: where its roles are, such as `realm_access.roles`; roles
    count in the whole app. `required_claims`: besides exp, sub, aud and iss. `kind`: the `typ` of its access tokens, to
    be set where id tokens of the same audience exist, such as `at+jwt`.
    """

    model_config = _CONFIG

    issuer: _Text
    audiences: _Texts
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)]
    jwks_url: _Url | None = None
    jwks: Mapping[str, Any] | None = None
    secret: SecretStr | None = None
    roles_claim: _Text = "roles"
    required_claims: tuple[_Text, ...] = ("iat",)
    kind: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(source is not None for source in (self.jwks_url, self.jwks, self.secret)) != 1:
            raise ValueError("an issuer has one of jwks_url, jwks and secret")
        public = PUBLIC_KEY_ALGORITHMS.issuperset(self.algorithms)
        if self.secret is None and not public:
            raise ValueError("HS256, HS384 and HS512 need a secret; with a JWK Set take RS256, ES256 or EdDSA")
        if self.secret is not None and not PUBLIC_KEY_ALGORITHMS.isdisjoint(self.algorithms):
            raise ValueError("a secret is for HS256, HS384 or HS512 only")
        if self.jwks_url is None and not self._static_keys():
            raise ValueError("no key of the JWK Set can be used")
        return self

    def policy(self, fetcher: Fetcher, now_ms: Callable[[], int]) -> Policy:
        """What its tokens must be like. Close the policy's `keys` in the end."""
        keys: KeySource = (
            StaticKeys(self._static_keys()) if self.jwks_url is None else JwksSource(self.jwks_url, fetcher, now_ms)
        )
        return Policy(
            issuer=self.issuer,
            audiences=frozenset(self.audiences),
            algorithms=frozenset(self.algorithms),
            keys=keys,
            required=frozenset(self.required_claims),
            roles_claim=self.roles_claim,
            kind=self.kind.lower(),
        )

    def _static_keys(self) -> tuple[VerificationKey, ...]:
        if self.secret is not None:
            secret = self.secret.get_secret_value().encode()
            return tuple(VerificationKey.of_secret(secret, algorithm) for algorithm in self.algorithms)
        return tuple(key for key in keys_of_jwks(self.jwks) if key.algorithm in self.algorithms)


class SignIn(BaseModel):
    """A provider of id tokens. `client_ids`: the ids under which it knows our apps. `nonce`: see `NonceForm`."""

    model_config = _CONFIG

    provider_name: ClassVar[str]
    issuers: ClassVar[tuple[str, ...]]

    client_ids: _Texts
    jwks_url: _Url
    nonce: NonceForm

    def provider(
        self, fetcher: Fetcher, now_ms: Callable[[], int], leeway_s: int
    ) -> tuple[IdentityProvider, KeySource]:
        """Whoever verifies its id tokens, and the keys for that, to be closed in the end."""
        keys = JwksSource(self.jwks_url, fetcher, now_ms)
        provider = IdentityProvider(
            self.provider_name,
            keys,
            now_ms,
            issuers=self.issuers,
            client_ids=self.client_ids,
            nonce_form=self.nonce,
            leeway_s=leeway_s,
        )
        return provider, keys


class AppleSignIn(SignIn):
    """`client_ids`: the app's bundle id, and the services id of a web page.

    `nonce`: libraries for Apple's sign-in on phones send Apple the hash of the nonce, hence "sha256".
    """

    provider_name = "apple"
    issuers = APPLE_ISSUERS

    jwks_url: _Url = APPLE_JWKS_URL
    nonce: NonceForm = NonceForm.SHA256


class GoogleSignIn(SignIn):
    """With a `client_secret` there is also the code flow, for the first of the `client_ids`.

    `redirect_uris`: where browsers come back to, spelt as in Google's console. `nonce`: Google's libraries pass it on
    as it is; an app that sends Google the hash of it sets "sha256".
    """

    provider_name = "google"
    issuers = GOOGLE_ISSUERS

    client_secret: SecretStr | None = None
    redirect_uris: tuple[_Url, ...] = ()
    jwks_url: _Url = GOOGLE_JWKS_URL
    authorize_url: _Url = GOOGLE_AUTHORIZE_URL
    token_url: _Url = GOOGLE_TOKEN_URL
    nonce: NonceForm = NonceForm.PLAIN

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.client_secret is None) != (not self.redirect_uris):
            raise ValueError("the code flow takes both a client_secret and redirect_uris")
        return self

    def code_flow(self, provider: IdentityProvider, fetcher: Fetcher, now_ms: Callable[[], int]) -> CodeFlow | None:
        """The sign-in by redirection, None where it is not configured."""
        if self.client_secret is None:
            return None
        return CodeFlow(
            provider,
            fetcher,
            now_ms,
            client_id=self.client_ids[0],
            client_secret=self.client_secret.get_secret_value(),
            redirect_uris=self.redirect_uris,
            authorize_url=self.authorize_url,
            token_url=self.token_url,
        )
