"""Bytes on a TCP connection, for what no HTTP library would send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer", "request_bytes", "send_raw"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back until the server closed the connection. `status` 0: nothing at all."""

    status: int
    head: str
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The problem document; asserts that it is one."""
        assert "application/problem+json" in self.head, (self.head, self.body[:200])
        value: dict[str, Any] = json.loads(self.body)
        assert value["status"] == self.status
        assert value["code"]
        assert value["detail"]
        assert value["hint"]
        return value


def request_bytes(body: bytes, path: str = "/sync/v1/push", method: str = "POST", headers: Sequence[str] = ()) -> bytes:
    """A well-formed request that asks for the connection to be closed, with further header lines."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Connection: close",
        *headers,
        *(
            []
            if any(line.lower().startswith("content-type:") for line in headers)
            else ["Content-Type: application/json"]
        ),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def send_raw(address: tuple[str, int], data: bytes, timeout_s: float = 10) -> Answer:
    """Send `data` and read until the server closes; raises TimeoutError if it does not."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(data)
        async with asyncio.timeout(timeout_s):
            raw = await reader.read()
    finally:
        writer.transport.abort()
    if not raw:
        return Answer(0, "", b"")
    head, _, body = raw.partition(b"\r\n\r\n")
    return Answer(int(head.split()[1]), head.decode("latin-1"), body)
