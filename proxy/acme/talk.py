"""How an authority is listened to: over TLS alone, for a bounded time, and no longer than it has something to say.

Rules: whatever an authority sends is bounded, since one that is broken, or not what it seems, must not fill the memory
of the keeper or hold it up for ever. What it says in words goes into logs, so it becomes one line there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import requests
import urllib3

PATIENCE: Final = 20  # seconds for one answer
MOST: Final = 1 << 20  # bytes of one answer: directories, orders and chains have some thousands
PART: Final = 16384
WORDS: Final = 500  # characters of a sentence


class Talk(requests.Session):
    """Asks, and reads answers whole. There is nothing to ask without TLS (RFC 8555 section 6.1), and nobody
    sends us on."""

    def __init__(self) -> None:
        super().__init__()
        del self.adapters["http://"]

    def request(self, *words: Any, **more: Any) -> requests.Response:
        """Ask. RequestException."""
        end = time.monotonic() + PATIENCE
        answer = super().request(*words, **{**more, "stream": True, "allow_redirects": False})
        parts, size = [], 0
        with answer:
            if answer.is_redirect:
                raise requests.TooManyRedirects(f"it sends us on to {answer.headers['Location']}")
            for part in _as_they_come(answer):
                parts.append(part)
                size += len(part)
                if size > MOST:
                    raise requests.exceptions.ContentDecodingError(f"its answer is longer than {MOST} bytes")
                if time.monotonic() > end:
                    raise requests.exceptions.ReadTimeout
        answer._content = b"".join(parts)
        return answer


def _as_they_come(answer: requests.Response) -> Iterator[bytes]:
    """The parts of a body, each as soon as it is there: `iter_content` waits for a part to be whole, however slowly
    it comes."""
    try:
        while part := answer.raw.read1(PART, decode_content=True):
            yield part
    except urllib3.exceptions.ReadTimeoutError:
        raise requests.exceptions.ReadTimeout from None
    except urllib3.exceptions.HTTPError as problem:
        raise requests.ConnectionError(problem) from None


def reason(error: Exception) -> str:
    """What an exception says, in few words."""
    if isinstance(error, requests.Timeout):
        return f"it did not answer in {PATIENCE} s"
    if isinstance(error, requests.exceptions.SSLError):
        return f"its certificate is not believed ({error})"
    if isinstance(error, requests.exceptions.InvalidSchema):
        return "it sends us to where no TLS is spoken"
    if isinstance(error, requests.ConnectionError):
        return "it cannot be reached"
    return str(error) or type(error).__name__


def plain_words(text: str) -> str:
    """A sentence for logs: one line that can be printed, and not too long."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: WORDS + 1])
    return line if len(line) <= WORDS else f"{line[:WORDS]} ..."
