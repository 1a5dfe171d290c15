"""The hostile inputs of `fixtures/bad-input`, read into cases."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["JsonText", "PackedValue", "json_texts", "naughty_strings", "packed_values"]

_FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "bad-input"


@dataclass(frozen=True, slots=True)
class JsonText:
    """A text that may be JSON. `expect`: accept, reject, or either where RFC 8259 leaves it to the reader."""

    name: str
    expect: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class PackedValue:
    """A value, and every way in which MessagePack may write it."""

    name: str
    value: object
    encodings: list[bytes]


def json_texts() -> list[JsonText]:
    """Texts to accept or to reject, and valid ones that readers understand differently: 277."""
    with gzip.open(_FOLDER / "json_parsing.jsonl.gz", "rt") as lines:
        texts = [_json_text(json.loads(line)) for line in lines]
    with (_FOLDER / "json_transform.jsonl").open() as lines:
        texts += [_json_text(json.loads(line) | {"expect": "either"}) for line in lines]
    return texts


def packed_values() -> list[PackedValue]:
    """Values with their MessagePack encodings: 85."""
    return list(_packed_values(json.loads((_FOLDER / "msgpack-test-suite.json").read_text())))


def naughty_strings() -> list[str]:
    """515 strings that have broken somebody's program."""
    strings: list[str] = json.loads((_FOLDER / "blns.json").read_text())
    return strings


def _json_text(row: dict[str, str]) -> JsonText:
    return JsonText(row["name"], row["expect"], base64.b64decode(row["b64"]))


def _packed_values(suite: dict[str, list[dict[str, Any]]]) -> Iterator[PackedValue]:
    for section, cases in suite.items():
        for index, case in enumerate(cases):
            encodings = [bytes.fromhex(text.replace("-", "")) for text in case["msgpack"]]
            value = next(value for name, value in case.items() if name != "msgpack")
            yield PackedValue(f"{section}[{index}]", value, encodings)
