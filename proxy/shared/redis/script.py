"""What Redis is asked to run: the arithmetic of `policy.limit.leaky` in Lua, by Redis's own clock; and names of keys.

Rules: one script is one decision, so hosts cannot come between each other. A bucket is one key, "EXCESS LAST", which
expires when it decides as no key would, not a millisecond earlier: so memory is bounded by the clients of that time.
All integers are below 2**53, where Lua's numbers are exact, as is `math.fmod`. A name holds the limit's name and a
hash, never what a client sent; the hash is a tag for clusters, so keys spread over all nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b, sha1
from typing import Final

# KEYS[1] bucket; ARGV: rate, burst, how many requests are wanted. Gives the excess of the first of them, or -1 minus
# the excess that it would have led to. As many more are charged as there is room for, up to the number wanted.
CHARGE: Final = b"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local excess, last = 0, now
local was, at = string.match(redis.call('GET', KEYS[1]) or '', '^(-?%d+) (%d+)$')
if was then
  local ms = now - at
  if ms < 0 then
    if ms < -60000 then ms = 1 else ms = 0 end
  end
  local drained = rate * ms
  excess = was + 1000 - (drained - math.fmod(drained, 1000)) / 1000
  if excess < 0 then excess = 0 end
  if excess > burst then return -1 - excess end
  if ms == 0 then last = tonumber(at) end
end
local room = math.floor((burst - excess) / 1000)
local after = excess + 1000 * math.min(room, ARGV[3] - 1)
local life = math.ceil((after + 1000) * 1000 / rate) + 1 + last - now
redis.call('SET', KEYS[1], string.format('%.0f %.0f', after, last), 'PX', string.format('%.0f', life))
return excess
"""

# KEYS[1] bucket; ARGV: how many requests were charged and are not used. An excess below 0 is the first one's credit.
REFUND: Final = b"""
local was, at = string.match(redis.call('GET', KEYS[1]) or '', '^(-?%d+) (%d+)$')
if was then
  local excess = math.max(-1000, was - 1000 * ARGV[1])
  redis.call('SET', KEYS[1], string.format('%.0f %s', excess, at), 'KEEPTTL')
end
return 0
"""

HASH: Final = 16  # bytes of the hash in a key's name


def packed(*words: bytes) -> bytes:
    """A command as Redis reads it (RESP2, an array of bulk strings)."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


class Script:
    """A script, how it is loaded, and its hash, which stands for it afterwards."""

    __slots__ = ("digest", "load")

    def __init__(self, text: bytes) -> None:
        self.digest = sha1(text, usedforsecurity=False).hexdigest().encode()
        self.load = packed(b"SCRIPT", b"LOAD", text)


SCRIPTS: Final = (Script(CHARGE), Script(REFUND))
CHARGING, REFUNDING = SCRIPTS


def naming(prefix: str, limit: str, secret: str | None) -> Callable[[bytes], bytes]:
    """What gives a bucket's name: PREFIX:LIMIT:{HASH}."""
    hashed = blake2b(digest_size=HASH, key=blake2b((secret or "").encode(), digest_size=32).digest())
    head = f"{prefix}:{limit}:{{".encode()

    def name(key: bytes) -> bytes:
        one = hashed.copy()
        one.update(key)
        return b"%b%b}" % (head, one.hexdigest().encode())

    return name


class Call:
    """Calls of a script with one key whose arguments are known but for the key's name."""

    __slots__ = ("_head", "_tail")

    def __init__(self, script: Script, *arguments: int) -> None:
        words = [b"%d" % one for one in arguments]
        self._head = b"*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%b\r\n$1\r\n1\r\n" % (4 + len(words), script.digest)
        self._tail = b"\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)

    def of(self, key: bytes) -> bytes:
        """The command for a key."""
        return b"%b$%d\r\n%b%b" % (self._head, len(key), key, self._tail)
