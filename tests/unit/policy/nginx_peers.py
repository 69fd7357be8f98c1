"""A naive transcription of nginx's peer selection in C, the oracle of the strategies' tests.

From ngx_http_upstream_round_robin.c, _least_conn_module.c, _ip_hash_module.c, _hash_module.c, statement by statement,
with the state of a request (`tried`, `hash`, `tries`) kept in a Request as nginx keeps it in rrp, iphp and hp.
"""

from __future__ import annotations

from zlib import crc32


class Peer:
    def __init__(self, name, weight, max_fails, fail_timeout, max_conns, down):
        self.name = name
        self.weight = self.effective_weight = weight
        self.current_weight = 0
        self.max_fails = max_fails
        self.fail_timeout = fail_timeout
        self.max_conns = max_conns
        self.down = down
        self.conns = self.fails = 0
        self.accessed = self.checked = 0


class Request:
    def __init__(self, address=b""):
        self.backup = False
        self.tried = set()
        self.hash = 89
        self.tries = 0
        self.address = address
        self.sum = self.rehash = 0
        self.point = None


class Peers:
    def __init__(self, primaries, backups):
        self.lists = [primaries, backups] if backups else [primaries]
        self.single = len(primaries) == 1 and not backups

    def skipped(self, request, peer, now):
        return (
            peer in request.tried
            or peer.down
            or (peer.max_fails and peer.fails >= peer.max_fails and now - peer.checked <= peer.fail_timeout)
            or (peer.max_conns and peer.conns >= peer.max_conns)
        )

    def use(self, request, peer, now):
        if now - peer.checked > peer.fail_timeout:
            peer.checked = now
        peer.conns += 1
        request.tried.add(peer)
        return peer

    def turn(self, request, peers, now, conns_of=None):
        best = None
        total = 0
        for peer in peers:
            if self.skipped(request, peer, now):
                continue
            if conns_of is not None and peer.conns * conns_of.weight != conns_of.conns * peer.weight:
                continue
            peer.current_weight += peer.effective_weight
            total += peer.effective_weight
            if peer.effective_weight < peer.weight:
                peer.effective_weight += 1
            if best is None or peer.current_weight > best.current_weight:
                best = peer
        if best is not None:
            best.current_weight -= total
        return best

    def only(self, request, now):
        peer = self.lists[0][0]
        if peer.down or (peer.max_conns and peer.conns >= peer.max_conns) or peer in request.tried:
            return None
        return self.use(request, peer, now)

    def round_robin(self, request, now):
        if self.single:
            return self.only(request, now)
        for peers in self.lists:
            best = self.turn(request, peers, now)
            if best is not None:
                return self.use(request, best, now)
        return None

    def least_conn(self, request, now):
        if self.single:
            return self.only(request, now)
        for peers in self.lists:
            best = None
            many = False
            position = 0
            for i, peer in enumerate(peers):
                if self.skipped(request, peer, now):
                    continue
                if best is None or peer.conns * best.weight < best.conns * peer.weight:
                    best, many, position = peer, False, i
                elif peer.conns * best.weight == best.conns * peer.weight:
                    many = True
            if best is None:
                continue
            if many:
                best = self.turn(request, peers[position:], now, conns_of=best)
            return self.use(request, best, now)
        return None

    def ip_hash(self, request, now):
        primaries = self.lists[0]
        if request.tries > 20 or len(primaries) < 2:
            return self.round_robin(request, now)
        value = request.hash
        while True:
            for octet in request.address:
                value = (value * 113 + octet) % 6271
            w = value % sum(peer.weight for peer in primaries)
            p = 0
            while w >= primaries[p].weight:
                w -= primaries[p].weight
                p += 1
            if not self.skipped(request, primaries[p], now):
                request.hash = value
                return self.use(request, primaries[p], now)
            request.tries += 1
            if request.tries > 20:
                return self.round_robin(request, now)

    def key_hash(self, request, now):
        primaries = self.lists[0]
        if request.tries > 20 or len(primaries) < 2 or not request.address:
            return self.round_robin(request, now)
        while True:
            text = str(request.rehash).encode() if request.rehash else b""
            request.sum += (crc32(text + request.address) >> 16) & 0x7FFF
            request.rehash += 1
            w = request.sum % sum(peer.weight for peer in primaries)
            p = 0
            while w >= primaries[p].weight:
                w -= primaries[p].weight
                p += 1
            if not self.skipped(request, primaries[p], now):
                return self.use(request, primaries[p], now)
            request.tries += 1
            if request.tries > 20:
                return self.round_robin(request, now)

    def points(self):
        points = []
        for peer in self.lists[0]:
            previous = 0
            for _ in range(peer.weight * 160):
                previous = crc32(peer.name.encode() + b"\0" + previous.to_bytes(4, "little"))
                points.append((previous, peer.name))
        points.sort(key=lambda point: point[0])
        return [point for i, point in enumerate(points) if not i or points[i - 1][0] != point[0]]

    def ring(self, request, now):
        points = self.points()
        if request.point is None:
            value = crc32(request.address)
            request.point = next((i for i, point in enumerate(points) if point[0] >= value), len(points))
        if request.tries > 20 or self.single or not request.address:
            return self.round_robin(request, now)
        while True:
            server = points[request.point % len(points)][1]
            best = self.turn(request, [peer for peer in self.lists[0] if peer.name == server], now)
            if best is not None:
                return self.use(request, best, now)
            request.point += 1
            request.tries += 1
            if request.tries > 20:
                return self.round_robin(request, now)

    def free(self, peer, now, failed):
        peer.conns -= 1
        if self.single:
            return
        if failed:
            peer.fails += 1
            peer.accessed = peer.checked = now
            if peer.max_fails:
                peer.effective_weight -= peer.weight // peer.max_fails
            if peer.effective_weight < 0:
                peer.effective_weight = 0
        elif peer.accessed < peer.checked:
            peer.fails = 0
