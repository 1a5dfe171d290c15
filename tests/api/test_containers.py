"""How many arrays and objects a body holds, told from its bytes: never fewer than there are."""

from __future__ import annotations

import threading
from dataclasses import replace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.api.codec import encode_json
from syncd.api.containers import MANY, json_containers, msgpack_containers
from syncd.api.formats import JSON, MSGPACK, Format, decode

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def containers(value: object) -> int:
    if isinstance(value, list):
        return 1 + sum(map(containers, value))
    if isinstance(value, dict):
        return 1 + sum(map(containers, value.values()))
    return 0


@given(VALUES)
def test_there_are_at_most_so_many(value: object) -> None:
    assert containers(value) <= json_containers(encode_json(value))
    assert containers(value) <= msgpack_containers(msgpack.packb(value, unicode_errors="surrogatepass"))


def test_large_ones_are_counted_in_every_way_they_can_be_packed() -> None:
    for size in (0, 15, 16, 65_535, 65_536):
        assert msgpack_containers(msgpack.packb([1] * size)) >= 1
        assert msgpack_containers(msgpack.packb({str(n): 1 for n in range(size)})) >= 1


@pytest.mark.parametrize("format", [JSON, MSGPACK])
async def test_a_body_of_many_is_read_beside_the_event_loop_and_others_on_it(format: Format) -> None:
    threads: list[threading.Thread] = []

    def noted(body: bytes) -> object:
        threads.append(threading.current_thread())
        return format.decode(body)

    noting = replace(format, decode=noted)
    many: list[list[object]] = [[] for _ in range(MANY + 1)]
    assert await decode(noting, format.encode(many)) == many
    assert await decode(noting, format.encode("x" * 10 * MANY)) == "x" * 10 * MANY
    assert [thread is threading.main_thread() for thread in threads] == [False, True]
