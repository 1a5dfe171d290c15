"""Access tokens: what is issued is verified, and nothing else is."""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from syncd.auth.keys import StaticKeys, VerificationKey
from syncd.auth.policy import Policy
from syncd.auth.signing import OwnKey, SigningKey, SigningKeys
from syncd.auth.tokens import MAX_TOKEN_LENGTH, TokenIssuer, TokenVerifier
from syncd.errors import Unauthenticated
from tests.auth.issuers import NOW_S, SECRET, Clock, jwk_of, pem_of, private_key, public_pem_of
from tests.sizes import SIZES

ISSUER, AUDIENCE = "https://club.example", "club"
LEEWAY_S = 60
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": "anna", "iat": NOW_S, "exp": NOW_S + 900, "jti": "t-1"}


def policy(*keys: VerificationKey, **changed: Any) -> Policy:
    algorithms = frozenset(key.algorithm for key in keys)
    given = {"issuer": ISSUER, "audiences": frozenset({AUDIENCE}), "algorithms": algorithms, "keys": StaticKeys(keys)}
    return Policy(**{**given, **changed})


def secret_key(kid: str = "", algorithm: str = "HS256") -> VerificationKey:
    return VerificationKey.of_secret(SECRET.encode(), algorithm, kid)


def public_key(algorithm: str, kid: str = "", name: str = "first") -> VerificationKey:
    return VerificationKey.of_public_key(private_key(algorithm, name).public_key(), kid)


def signed(claims: Mapping[str, Any] = CLAIMS, *, key: Any = SECRET, algorithm: str = "HS256", **headers: Any) -> str:
    return jwt.encode(dict(claims), key, algorithm, headers or None)


def by_hand(header: object, payload: object, signature: bytes = b"signature") -> str:
    """A token that no library would write."""

    def part(value: object) -> str:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    return ".".join(map(part, (header, payload, signature)))


def signed_by_hand(payload: bytes, header: object = None) -> str:
    signing_input = by_hand(header or {"alg": "HS256"}, payload).rpartition(".")[0]
    signature = jwt.get_algorithm_by_name("HS256").sign(signing_input.encode(), SECRET.encode())
    return f"{signing_input}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Unauthenticated) as refused:
        await verifier.verify(token)
    return refused.value.problem_code


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(clock: Clock) -> TokenVerifier:
    return TokenVerifier([policy(secret_key())], clock, LEEWAY_S)


class TestOurOwn:
    @pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA"])
    async def test_what_is_issued_says_what_was_asked_for(self, clock: Clock, algorithm: str) -> None:
        text = SECRET if algorithm.startswith("HS") else pem_of(private_key(algorithm))
        issuer = own_issuer(clock, SigningKey.of_text(text, algorithm))
        issued = issuer.issue("0198-anna", session="s-1", roles=["referee", "coach"])
        claims = await TokenVerifier([issuer.policy()], clock).verify(issued.token)
        assert (claims.subject, claims.session, claims.roles) == ("0198-anna", "s-1", {"referee", "coach"})
        assert (claims.token_id, claims.expires_at_ms) == (issued.id, issued.expires_at_ms)
        assert claims.audience == {AUDIENCE}
        assert issued.expires_at_ms == clock() + 900_000

    async def test_each_has_its_own_id_and_may_have_its_own_lifetime(self, clock: Clock) -> None:
        issuer = own_issuer(clock)
        one, other = issuer.issue("anna"), issuer.issue("anna", lifetime_s=5)
        assert one.id != other.id
        assert other.expires_at_ms == clock() + 5_000

    async def test_a_lifetime_that_was_shortened_holds_for_older_tokens_too(self, clock: Clock) -> None:
        """Revocations are forgotten after it: a session that was ended would come back to life."""
        before = own_issuer(clock, lifetime_s=24 * 3600).issue("anna").token
        shortened = TokenVerifier([own_issuer(clock, lifetime_s=300).policy()], clock, LEEWAY_S)
        clock.forward(300 + LEEWAY_S - 1)
        assert (await shortened.verify(before)).expires_at_ms == (NOW_S + 300) * 1000
        clock.forward(1)
        assert await refusal(shortened, before) == "token_expired"
        lengthened = TokenVerifier([own_issuer(clock, lifetime_s=30 * 24 * 3600).policy()], clock, LEEWAY_S)
        assert (await lengthened.verify(before)).expires_at_ms == (NOW_S + 24 * 3600) * 1000

    async def test_that_of_others_is_theirs_to_say(self, clock: Clock) -> None:
        clock.forward(10**6)
        long = signed({**CLAIMS, "exp": NOW_S + 10**7})
        claims = await TokenVerifier([policy(secret_key())], clock, LEEWAY_S).verify(long)
        assert claims.expires_at_ms == (NOW_S + 10**7) * 1000

    @pytest.mark.parametrize("subject", ["", "a b", "a\x00b", "x" * 129, "../anna"])
    async def test_a_subject_that_is_no_id_is_not_issued_for(self, clock: Clock, subject: str) -> None:
        with pytest.raises(ValueError, match="sub"):
            own_issuer(clock).issue(subject)

    async def test_neither_token_nor_key_is_in_a_representation(self, clock: Clock) -> None:
        key = SigningKey.of_text(SECRET)
        issued = own_issuer(clock, key).issue("anna")
        assert issued.token not in repr(issued)
        assert SECRET not in repr(key)
        assert SECRET not in repr(key.verification)

    async def test_a_jwt_for_another_purpose_is_no_access_token(self, clock: Clock) -> None:
        key = SigningKey.of_text(SECRET)
        verifier = TokenVerifier([own_issuer(clock, key).policy()], clock)
        assert await verifier.verify(key.sign(CLAIMS, "at+jwt"))
        assert await verifier.verify(key.sign(CLAIMS, "application/AT+JWT"))
        assert await refusal(verifier, key.sign(CLAIMS, "JWT")) == "token_invalid"
        assert await refusal(verifier, key.sign(CLAIMS, "")) == "token_invalid"

    async def test_after_a_rotation_the_new_key_signs_and_the_old_one_still_verifies(self, clock: Clock) -> None:
        old, new = SigningKey.of_text(SECRET), SigningKey.of_text(pem_of(private_key("EdDSA")))
        before = own_issuer(clock, old).issue("anna").token
        issuer = own_issuer(clock, new, older=[OwnKey.of_text(SECRET, "EdDSA")])
        verifier = TokenVerifier([issuer.policy()], clock)
        assert (await verifier.verify(before)).subject == "anna"
        after = issuer.issue("anna").token
        assert jwt.get_unverified_header(after)["alg"] == "EdDSA"
        assert (await verifier.verify(after)).subject == "anna"

    async def test_when_the_old_key_is_gone_so_are_its_tokens(self, clock: Clock) -> None:
        before = own_issuer(clock, SigningKey.of_text(SECRET)).issue("anna").token
        issuer = own_issuer(clock, SigningKey.of_text(SECRET[::-1]))
        assert await refusal(TokenVerifier([issuer.policy()], clock), before) == "token_invalid"


def own_issuer(
    clock: Clock, key: SigningKey | None = None, older: list[OwnKey] | None = None, *, lifetime_s: int = 900
) -> TokenIssuer:
    keys = SigningKeys(key or SigningKey.of_text(SECRET), older or [])
    return TokenIssuer(keys, clock, issuer=ISSUER, audiences=[AUDIENCE], lifetime_s=lifetime_s)


class TestTheAlgorithmIsPinned:
    @pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None, 0, ["HS256"], {"HS256": 1}])
    @pytest.mark.parametrize("signature", [b"", b"x"])
    async def test_none_is_no_algorithm_however_it_is_spelt(
        self, verifier: TokenVerifier, name: object, signature: bytes
    ) -> None:
        token = by_hand({"alg": name, "typ": "JWT"}, CLAIMS, signature)
        assert await refusal(verifier, token) == "token_invalid"

    async def test_a_token_without_a_signature_is_refused(self, verifier: TokenVerifier) -> None:
        head, _, _ = signed().rpartition(".")
        assert await refusal(verifier, head) == await refusal(verifier, f"{head}.") == "token_invalid"

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
    @pytest.mark.parametrize("confused", ["HS256", "HS384", "HS512"])
    async def test_a_public_key_is_never_a_shared_secret(self, clock: Clock, algorithm: str, confused: str) -> None:
        key = private_key(algorithm)
        verifier = TokenVerifier([policy(public_key(algorithm, "k"), algorithms={algorithm, confused})], clock)
        assert await verifier.verify(signed(key=key, algorithm=algorithm, kid="k"))
        public = jwk_of(key, "k", algorithm)
        for secret in (public_pem_of(key), public_pem_of(key).strip(), json.dumps(public), public.get("n", "x")):
            forged = forged_with_secret(secret, confused, kid="k")
            assert await refusal(verifier, forged) == "token_invalid"

    async def test_an_algorithm_that_its_issuer_does_not_use_is_refused(self, clock: Clock) -> None:
        keys = [secret_key("k"), secret_key("k", "HS512")]
        verifier = TokenVerifier([policy(*keys, algorithms={"HS512"})], clock)
        assert await refusal(verifier, signed(algorithm="HS256", kid="k")) == "token_invalid"
        assert await verifier.verify(signed(algorithm="HS512", kid="k"))

    async def test_a_key_is_for_one_algorithm_only(self, clock: Clock) -> None:
        verifier = TokenVerifier([policy(secret_key(), algorithms={"HS256", "HS512"})], clock)
        assert await refusal(verifier, signed(algorithm="HS512")) == "token_invalid"

    async def test_nor_is_it_for_another_where_its_source_does_not_look(self, clock: Clock) -> None:
        careless = policy(secret_key(), algorithms={"HS256", "ES256"}, keys=CarelessKeys([secret_key()]))
        token = signed_by_hand(json.dumps(CLAIMS).encode(), {"alg": "ES256"})
        assert await refusal(TokenVerifier([careless], clock), token) == "token_invalid"

    async def test_a_source_gives_keys_of_that_algorithm_and_name_and_not_too_many(self) -> None:
        keys = [secret_key("k"), secret_key("k", "HS512"), secret_key("other"), public_key("ES256")]
        source = StaticKeys([*keys, *(public_key("EdDSA") for _ in range(100))])
        assert await source.find("k", "HS256") == [keys[0]]
        assert await source.find(None, "HS256") == [keys[0], keys[2]]
        assert await source.find("k", "ES256") == [keys[3]]
        assert len(await source.find("k", "EdDSA")) == 8

    async def test_one_issuer_cannot_speak_for_another_with_its_own_key(self, clock: Clock) -> None:
        other = policy(public_key("ES256"), issuer="https://other.example", audiences={AUDIENCE})
        verifier = TokenVerifier([policy(secret_key()), other], clock)
        forged = signed(CLAIMS, key=private_key("ES256"), algorithm="ES256")
        assert await refusal(verifier, forged) == "token_invalid"
        honest = {**CLAIMS, "iss": "https://other.example"}
        assert await verifier.verify(signed(honest, key=private_key("ES256"), algorithm="ES256"))


def forged_with_secret(secret: str, algorithm: str, **headers: str) -> str:
    """Signed by hand: PyJWT refuses to sign with what is a public key."""
    signing_input = by_hand({"alg": algorithm, **headers}, CLAIMS).rpartition(".")[0]
    algorithm_object = jwt.get_algorithm_by_name(algorithm)
    signature = algorithm_object.sign(signing_input.encode(), secret.encode())
    return f"{signing_input}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


class TestTheHeaderIsNotBelieved:
    @pytest.mark.parametrize(
        "header",
        [
            {"crit": ["exp"]},
            {"crit": []},
            {"crit": ["b64"], "b64": False},
            {"b64": True},
            {"kid": 7},
            {"kid": ["k"]},
            {"kid": "x" * 201},
        ],
        ids=str,
    )
    async def test_what_asks_for_an_extension_or_is_malformed_is_refused(
        self, verifier: TokenVerifier, header: dict[str, Any]
    ) -> None:
        token = signed_by_hand(json.dumps(CLAIMS).encode(), {"alg": "HS256", **header})
        assert await refusal(verifier, token) == "token_invalid"

    @pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
    async def test_a_key_that_the_token_brings_or_points_at_is_ignored(self, clock: Clock, name: str) -> None:
        stranger = private_key("RS256", "stranger")
        brought = {"jwk": jwk_of(stranger, "k", "RS256"), "x5c": ["MIIB"]}.get(name, "https://evil.example/jwks")
        verifier = TokenVerifier([policy(public_key("RS256", "k"))], clock)
        theirs = signed(key=stranger, algorithm="RS256", kid="k", **{name: brought})
        assert await refusal(verifier, theirs) == "token_invalid"
        assert await verifier.verify(signed(key=private_key("RS256"), algorithm="RS256", kid="k", **{name: brought}))

    @pytest.mark.parametrize(
        "kid", ["../../etc/passwd", "/dev/null", "https://evil.example/k", "' OR 1=1 --", "\x00", ""]
    )
    async def test_a_kid_is_a_name_and_nothing_else(self, clock: Clock, kid: str) -> None:
        verifier = TokenVerifier([policy(secret_key("k"))], clock)
        assert await refusal(verifier, signed(kid=kid)) == "token_invalid"

    async def test_of_several_keys_of_one_name_the_right_one_is_found(self, clock: Clock) -> None:
        keys = [public_key("ES256", "k", "first"), public_key("ES256", "k", "second"), secret_key("k")]
        verifier = TokenVerifier([policy(*keys)], clock)
        assert await verifier.verify(signed(key=private_key("ES256", "second"), algorithm="ES256", kid="k"))
        stranger = signed(key=private_key("ES256", "stranger"), algorithm="ES256", kid="k")
        assert await refusal(verifier, stranger) == "token_invalid"

    async def test_a_token_without_a_kid_is_held_against_the_keys_there_are(self, clock: Clock) -> None:
        verifier = TokenVerifier([policy(public_key("ES256", "a"), public_key("ES256", "b", "second"))], clock)
        assert await verifier.verify(signed(key=private_key("ES256", "second"), algorithm="ES256"))


class TestTimes:
    @pytest.mark.parametrize(
        ("seconds", "code"),
        [(900 + LEEWAY_S - 0.001, None), (900 + LEEWAY_S, "token_expired"), (10**6, "token_expired")],
    )
    async def test_it_ends_with_exp_and_the_leeway(
        self, verifier: TokenVerifier, clock: Clock, seconds: float, code: str | None
    ) -> None:
        clock.forward(seconds)
        await self.is_refused_with(code, verifier, signed())

    @pytest.mark.parametrize("name", ["nbf", "iat"])
    @pytest.mark.parametrize(("ahead_s", "code"), [(LEEWAY_S, None), (LEEWAY_S + 1, "token_not_yet_valid")])
    async def test_it_begins_with_nbf_and_iat_less_the_leeway(
        self, verifier: TokenVerifier, name: str, ahead_s: int, code: str | None
    ) -> None:
        await self.is_refused_with(code, verifier, signed({**CLAIMS, name: NOW_S + ahead_s}))

    async def test_a_forged_token_is_invalid_before_it_is_expired(self, verifier: TokenVerifier, clock: Clock) -> None:
        clock.forward(10**6)
        assert await refusal(verifier, signed(key=SECRET[::-1])) == "token_invalid"

    @pytest.mark.parametrize(
        "wrong", ["9999999999", "", True, None, [], {}, 0, -1, NOW_S * 1000, 1 << 60, 1e300], ids=repr
    )
    @pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
    async def test_a_time_is_a_number_of_seconds(self, verifier: TokenVerifier, name: str, wrong: object) -> None:
        token = signed_by_hand(json.dumps({**CLAIMS, name: wrong}).encode())
        assert await refusal(verifier, token) == "token_invalid"

    @pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "0x7fffffff", "+1"])
    async def test_nor_is_what_only_some_parsers_take_for_a_number(self, verifier: TokenVerifier, text: str) -> None:
        payload = json.dumps({**CLAIMS, "exp": 0}).replace('"exp": 0', f'"exp": {text}')
        assert await refusal(verifier, signed_by_hand(payload.encode())) == "token_invalid"

    async def test_fractions_of_a_second_are_numbers(self, verifier: TokenVerifier) -> None:
        claims = await verifier.verify(signed({**CLAIMS, "exp": NOW_S + 0.5}))
        assert claims.expires_at_ms == NOW_S * 1000 + 500

    @staticmethod
    async def is_refused_with(code: str | None, verifier: TokenVerifier, token: str) -> None:
        if code is None:
            assert await verifier.verify(token)
        else:
            assert await refusal(verifier, token) == code


class TestWhoAndForWhom:
    @pytest.mark.parametrize(
        "issuer", ["https://club.example/", "HTTPS://CLUB.EXAMPLE", "", None, 1, [ISSUER], "a\x00"]
    )
    async def test_another_issuer(self, verifier: TokenVerifier, issuer: object) -> None:
        assert (
            await refusal(verifier, signed_by_hand(json.dumps({**CLAIMS, "iss": issuer}).encode())) == "token_invalid"
        )

    @pytest.mark.parametrize(
        "audience", ["clubs", "CLUB", "", [], ["a", "b"], {"club": 1}, None, 1, ["club", 1], [["club"]], ["club", ""]]
    )
    async def test_another_audience(self, verifier: TokenVerifier, audience: object) -> None:
        token = signed_by_hand(json.dumps({**CLAIMS, "aud": audience}).encode())
        assert await refusal(verifier, token) == "token_invalid"

    async def test_one_audience_of_several_is_enough(self, verifier: TokenVerifier) -> None:
        assert (await verifier.verify(signed({**CLAIMS, "aud": ["shop", AUDIENCE]}))).audience == {"shop", AUDIENCE}

    @pytest.mark.parametrize("name", sorted(CLAIMS))
    async def test_a_missing_claim(self, clock: Clock, name: str) -> None:
        verifier = TokenVerifier([policy(secret_key(), required=frozenset({"iat", "jti"}))], clock)
        lacking = {claim: value for claim, value in CLAIMS.items() if claim != name}
        assert await refusal(verifier, signed_by_hand(json.dumps(lacking).encode())) == "token_invalid"

    async def test_two_policies_for_one_issuer_are_a_mistake(self, clock: Clock) -> None:
        with pytest.raises(ValueError, match="two policies"):
            TokenVerifier([policy(secret_key()), policy(secret_key("other"))], clock)


class TestHostileText:
    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"null",
            b"[]",
            b'"text"',
            b"{",
            b"\xff\xfe{}",
            b"\xef\xbb\xbf{}",
            json.dumps(CLAIMS).encode("utf-16"),
            b'{"a":' * 1000,
            b"[" * 3000 + b"]" * 3000,
            json.dumps(CLAIMS)[:-1].encode() + b', "sub": "eve"}',
            json.dumps({**CLAIMS, "note": "\x00"}).encode(),
            json.dumps({**CLAIMS, "note": "\ud800"}).encode(),
            json.dumps({**CLAIMS, "sub": "an\x00na"}).encode(),
            json.dumps({**CLAIMS, "sub": "\u202eanna"}).encode(),
            json.dumps({**CLAIMS, "sub": "x" * 201}).encode(),
            json.dumps({**CLAIMS, "jti": 7}).encode(),
            json.dumps({**CLAIMS, "jti": "a\nb"}).encode(),
            json.dumps({**CLAIMS, "roles": {"admin": True}}).encode(),
            json.dumps({**CLAIMS, "roles": ["adm\x00in"]}).encode(),
        ],
    )
    async def test_claims_that_nobody_could_keep_are_refused(self, verifier: TokenVerifier, payload: bytes) -> None:
        assert await refusal(verifier, signed_by_hand(payload)) == "token_invalid"

    async def test_text_of_any_language_is_kept_as_it_is(self, verifier: TokenVerifier) -> None:
        claims = await verifier.verify(signed({**CLAIMS, "name": "Žofie 🏐 علي"}))
        assert claims.raw["name"] == "Žofie 🏐 علي"

    @pytest.mark.parametrize(
        "token", ["", ".", "..", "a.b", "a.b.c.d", "a.b.c\n", " a.b.c", "ä.b.c", "\ud800.b.c", "a.b.\x00"]
    )
    async def test_what_is_no_token_is_refused(self, verifier: TokenVerifier, token: str) -> None:
        assert await refusal(verifier, token) == "token_invalid"

    async def test_a_token_over_the_limit_is_refused_unread(self, verifier: TokenVerifier) -> None:
        room = MAX_TOKEN_LENGTH - len(signed({**CLAIMS, "x": ""}))
        fits = signed({**CLAIMS, "x": "y" * (room * 3 // 4)})
        assert MAX_TOKEN_LENGTH - 4 <= len(fits) <= MAX_TOKEN_LENGTH
        assert await verifier.verify(fits)
        with capture_logs() as logs:
            assert await refusal(verifier, signed({**CLAIMS, "x": "y" * room})) == "token_invalid"
        assert logs[0]["reason"] == "longer than a token may be"

    async def test_the_log_has_the_reason_and_nothing_of_the_token(self, verifier: TokenVerifier) -> None:
        with capture_logs() as logs:
            await refusal(verifier, signed({**CLAIMS, "aud": "evil\r\naudience", "sub": "victim"}))
        assert logs == [
            {"event": "token_refused", "log_level": "debug", "issuer": ISSUER, "reason": "aud is no list of texts"}
        ]

    async def test_the_public_sentence_is_the_same_whatever_the_reason(self, verifier: TokenVerifier) -> None:
        told = set()
        for token in ("x", signed(key=SECRET[::-1]), signed({**CLAIMS, "aud": "x"}), signed({**CLAIMS, "iss": "x"})):
            with pytest.raises(Unauthenticated) as refused:
                await verifier.verify(token)
            told.add((refused.value.message, refused.value.hint, refused.value.field))
        assert len(told) == 1


ALPHABET = string.ascii_letters + string.digits + "-_"


@cache
def one_signed(algorithm: str) -> str:
    """The same each time: ES256 never signs twice alike, and what is drawn must not depend on that."""
    return signed(key=SECRET if algorithm == "HS256" else private_key(algorithm), algorithm=algorithm, kid="k")


@pytest.mark.parametrize("algorithm", ["HS256", "ES256", "EdDSA", "RS256"])
@settings(max_examples=SIZES.property_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
async def test_no_change_of_a_single_character_survives(algorithm: str, data: st.DataObject) -> None:
    clock, token = Clock(), one_signed(algorithm)
    keys = [secret_key("k") if algorithm == "HS256" else public_key(algorithm, "k")]
    verifier = TokenVerifier([policy(*keys)], clock)
    assert await verifier.verify(token)
    place = data.draw(st.integers(0, len(token) - 1))
    new = data.draw(
        st.one_of(st.sampled_from(ALPHABET + ".=+/ "), st.characters()).filter(lambda it: it != token[place])
    )
    assert await refusal(verifier, token[:place] + new + token[place + 1 :]) == "token_invalid"
    assert await refusal(verifier, token[:place] + token[place + 1 :]) == "token_invalid"
    assert await refusal(verifier, token[:place] + new + token[place:]) == "token_invalid"


async def test_every_other_last_character_is_refused_though_its_spare_bits_decode_alike(
    verifier: TokenVerifier,
) -> None:
    token = signed()
    for character in ALPHABET:
        if character != token[-1]:
            assert await refusal(verifier, token[:-1] + character) == "token_invalid"
    assert await refusal(verifier, f"{token}=") == "token_invalid"


@settings(max_examples=SIZES.property_examples, deadline=None)
@given(token=st.one_of(st.text(), st.lists(st.text(ALPHABET), min_size=3, max_size=3).map(".".join)))
@example("e30.e30.e30")
async def test_nothing_made_up_raises_anything_else(token: str) -> None:
    assert await refusal(TokenVerifier([policy(secret_key())], Clock()), token) == "token_invalid"


class TestRemembering:
    async def test_a_token_that_is_known_is_not_computed_again(self, clock: Clock) -> None:
        source = CountingKeys([secret_key()])
        verifier = TokenVerifier([policy(secret_key(), keys=source)], clock)
        token = signed()
        assert await verifier.verify(token) is await verifier.verify(token)
        assert source.asked == 1
        clock.forward(60)
        await verifier.verify(token)
        assert source.asked == 2

    async def test_it_is_refused_from_the_moment_of_its_end_all_the_same(self, clock: Clock) -> None:
        verifier = TokenVerifier([policy(secret_key())], clock, 0)
        token = signed({**CLAIMS, "exp": NOW_S + 10})
        await verifier.verify(token)
        clock.forward(9.999)
        assert await verifier.verify(token)
        clock.forward(0.001)
        assert await refusal(verifier, token) == "token_expired"

    async def test_no_more_are_known_than_there_is_room_for(self, clock: Clock) -> None:
        source = CountingKeys([secret_key()])
        verifier = TokenVerifier([policy(secret_key(), keys=source)], clock, remembered_count=2)
        one, two, three = (signed({**CLAIMS, "jti": name}) for name in "abc")
        for token in (one, two, one, three, one):
            await verifier.verify(token)
        assert source.asked == 3
        await verifier.verify(two)
        assert source.asked == 4

    async def test_what_was_refused_is_not_remembered(self, clock: Clock) -> None:
        source = CountingKeys([secret_key()])
        verifier = TokenVerifier([policy(secret_key(), keys=source)], clock)
        forged = signed(key=SECRET[::-1])
        assert await refusal(verifier, forged) == await refusal(verifier, forged) == "token_invalid"
        assert source.asked == 2


class CarelessKeys(StaticKeys):
    """Gives HS256's keys for whatever is asked."""

    async def find(self, kid: str | None, algorithm: str) -> Any:
        return await super().find(kid, "HS256")


class CountingKeys(StaticKeys):
    """Static ones that count how often they are asked."""

    asked = 0

    async def find(self, kid: str | None, algorithm: str) -> Any:
        self.asked += 1
        return await super().find(kid, algorithm)
