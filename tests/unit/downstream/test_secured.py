"""The transport in TLS over a pair of sockets: order, backpressure, both kinds of end, and what is told when."""

from __future__ import annotations

import _ssl
import asyncio
import contextlib
import ctypes
import socket
import ssl

import pytest
import trustme
import uvloop

from proxy.downstream.secured import AT_ONCE, RECORD, Secured
from proxy.downstream.wire import Base, Wire
from proxy.openssl.library import LIBRARY, wire_of

AUTHORITY = trustme.CA()
BIG = bytes(range(256)) * 4096 * 4  # 4 MB


class Listening:
    """A protocol that writes down what it is told."""

    def __init__(self):
        self.told = []
        self.data = b""
        self.most = 0
        self.lost = asyncio.Event()
        self.ended = asyncio.Event()
        self.paused = asyncio.Event()
        self.resumed = asyncio.Event()

    def data_received(self, data):
        self.data += data
        self.most = max(self.most, len(data))

    def eof_received(self):
        self.told.append("eof")
        self.ended.set()

    def pause_writing(self):
        self.told.append("pause")
        self.paused.set()

    def resume_writing(self):
        self.told.append("resume")
        self.resumed.set()

    def connection_lost(self, error):
        self.told.append("lost")
        self.lost.set()


def contexts(version):
    server, client = Base(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.issue_cert("a.test").configure_cert(server)
    AUTHORITY.configure_trust(client)
    client.maximum_version = version
    return server, client


def over(talk, version=ssl.TLSVersion.TLSv1_3):
    """Run `talk(transport, protocol, client)` behind a handshake."""
    server, client = contexts(version)
    own, other = socket.socketpair()

    async def main():
        loop = asyncio.get_running_loop()
        shaken = loop.run_in_executor(None, lambda: client.wrap_socket(other, server_hostname="a.test"))
        own.setblocking(False)
        wire, protocol = Wire.over(own, server), Listening()
        while True:
            try:
                wire.do_handshake()
                break
            except ssl.SSLWantReadError:
                await asyncio.sleep(0.001)
        transport = Secured(loop, own, ("127.0.0.1", 1), protocol)
        transport.begin(wire, protocol)
        peer = await shaken
        peer.settimeout(10)
        try:
            await asyncio.wait_for(talk(transport, protocol, peer), 20)
        finally:
            transport.abort()
            peer.close()
            await asyncio.wait_for(protocol.lost.wait(), 5)
        assert protocol.told.count("lost") == 1 and protocol.told[-1] == "lost"

    uvloop.run(main())


async def behind(work, *words):
    """What a thread makes of it, while the loop goes on."""
    return await asyncio.get_running_loop().run_in_executor(None, work, *words)


def read_all(peer):
    """Everything up to the other side's farewell."""
    parts = []
    while part := peer.recv(65536):
        parts.append(part)
    return b"".join(parts)


VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


@VERSIONS
@pytest.mark.parametrize("sizes", [[1, 2, 3], [RECORD - 1, RECORD, RECORD + 1, 0, 5], [len(BIG), 7, len(BIG)]])
def test_all_that_is_written_comes_in_its_order_and_then_the_end(version, sizes):
    async def talk(transport, protocol, peer):
        reading = asyncio.ensure_future(behind(read_all, peer))
        for size in sizes:
            transport.write(BIG[:size])
        transport.close()
        assert transport.is_closing()
        transport.write(b"too late")
        assert await reading == b"".join(BIG[:size] for size in sizes)

    over(talk, version)


@VERSIONS
def test_all_that_a_client_sends_comes_in_parts_that_leave_room_for_others(version):
    async def talk(transport, protocol, peer):
        await behind(peer.sendall, BIG)
        if version is ssl.TLSVersion.TLSv1_2:
            await behind(peer.unwrap)
        else:  # without a farewell; not `close`, which resets a connection on which tickets lie unread
            await behind(peer.shutdown, socket.SHUT_WR)
        await protocol.ended.wait()
        assert protocol.data == BIG and protocol.most <= AT_ONCE

    over(talk, version)


def test_a_full_client_is_told_of_at_the_end_of_the_turn_and_once():
    async def talk(transport, protocol, peer):
        transport.set_write_buffer_limits(high=65536, low=1000)
        for _ in range(4):
            transport.write(BIG)
        assert protocol.told == [] and transport.get_write_buffer_size() > 65536
        await protocol.paused.wait()
        got = asyncio.ensure_future(behind(drain, peer))
        await protocol.resumed.wait()
        assert protocol.told == ["pause", "resume"] and transport.get_write_buffer_size() <= 1000
        transport.close()
        assert await got == 4 * len(BIG)

    over(talk)


def drain(peer):
    """How much comes."""
    return len(read_all(peer))


def test_nothing_is_read_while_reading_is_paused():
    async def talk(transport, protocol, peer):
        transport.pause_reading()
        peer.sendall(b"x" * 100)
        for _ in range(20):
            await asyncio.sleep(0)
        assert protocol.data == b""
        transport.resume_reading()
        while len(protocol.data) < 100:
            await asyncio.sleep(0.001)

    over(talk)


def test_one_side_can_end_before_the_other():
    async def talk(transport, protocol, peer):
        assert transport.can_write_eof()
        transport.write(b"the answer")
        transport.write_eof()
        assert await behind(read_all, peer) == b"the answer"
        transport.resume_reading()
        peer.sendall(b"still talking")
        while not protocol.data:
            await asyncio.sleep(0.001)
        assert not transport.is_closing()

    over(talk)


class Reluctant:
    """OpenSSL's connection whose farewell the kernel does not take at first."""

    def __init__(self, tls):
        self._tls, self.refuses = tls, True

    def shutdown(self):
        if self.refuses:
            raise ssl.SSLWantWriteError
        self._tls.shutdown()


def full(transport):
    """Have the kernel take no farewell, from now on."""
    transport._tls, transport._inner = Reluctant(transport._tls), 0
    return transport._tls


@pytest.mark.parametrize("half", [False, True])
def test_a_farewell_waits_until_the_kernel_takes_it(half):
    async def talk(transport, protocol, peer):
        transport.write(b"the answer")
        tls = full(transport)
        (transport.write_eof if half else transport.close)()
        assert transport.get_write_buffer_size() == 1
        await asyncio.sleep(0.01)
        assert transport.get_write_buffer_size() == 1 and not protocol.told
        tls.refuses = False
        peer.suppress_ragged_eofs = False
        assert await behind(read_all, peer) == b"the answer"  # and no SSLEOFError
        assert transport.get_write_buffer_size() == 0 and transport.is_closing() is not half

    over(talk)


def test_a_farewell_that_nobody_takes_ends_with_the_connection():
    async def talk(transport, protocol, peer):
        full(transport)
        transport.close()
        transport.abort()
        await protocol.lost.wait()
        assert transport.get_write_buffer_size() == 0

    over(talk)


def test_a_client_that_goes_without_a_farewell_has_ended_too():
    async def talk(transport, protocol, peer):
        peer.sendall(b"last words")
        peer._sslobj = None
        socket.socket.shutdown(peer, socket.SHUT_RDWR)
        await protocol.lost.wait()
        assert protocol.data == b"last words" and protocol.told == ["eof", "lost"]

    over(talk)


def test_an_abort_is_told_by_the_loop_and_keeps_nothing():
    async def talk(transport, protocol, peer):
        transport.write(BIG)
        transport.abort()
        assert protocol.told == [] and transport.get_write_buffer_size() == 0
        assert transport.get_extra_info("socket") is None and transport.get_extra_info("peername") == ("127.0.0.1", 1)
        await protocol.lost.wait()

    over(talk)


def test_a_protocol_that_fails_loses_its_connection(caplog):
    async def talk(transport, protocol, peer):
        protocol.data_received = lambda data: 1 / 0
        peer.sendall(b"x")
        await protocol.lost.wait()
        assert "a connection in TLS is closed" in caplog.text

    over(talk)


def test_nonsense_instead_of_a_record_ends_it():
    async def talk(transport, protocol, peer):
        peer.sendall(b"good")
        while protocol.data != b"good":
            await asyncio.sleep(0.001)
        socket.socket.send(peer, b"\x17\x03\x03\x00\x20" + b"n" * 32)
        await protocol.lost.wait()
        assert protocol.data == b"good"

    over(talk)


def updates(count, last):
    """A handshake over memory: the server's end, its socket, and that of a client who has changed its keys so often
    (RFC 8446 section 4.6.3) before it says its last, all of which lies in the kernel."""
    server, client = contexts(ssl.TLSVersion.TLSv1_3)
    own, other = socket.socketpair()
    own.setblocking(False)
    other.setblocking(False)
    come, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs, wire = client.wrap_bio(come, goes, server_hostname="a.test"), Wire.over(own, server)
    for _ in range(2):
        with contextlib.suppress(ssl.SSLWantReadError):
            theirs.do_handshake()
        other.send(goes.read())
        with contextlib.suppress(ssl.SSLWantReadError):
            wire.do_handshake()
        come.write(other.recv(65536))
    library = ctypes.CDLL(_ssl.__file__)
    library.SSL_key_update.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.SSL_do_handshake.argtypes = [ctypes.c_void_p]
    for _ in range(count):
        assert library.SSL_key_update(wire_of(theirs), 0) == library.SSL_do_handshake(wire_of(theirs)) == 1
    theirs.write(last)
    other.send(goes.read())
    return wire, own, other


@pytest.mark.skipif(LIBRARY is None, reason="OpenSSL itself is not to be had here")
def test_who_changes_keys_again_and_again_does_not_keep_others_waiting():
    wire, own, other = updates(100, b"end")

    async def main():
        protocol, turns = Listening(), 0
        transport = Secured(asyncio.get_running_loop(), own, ("127.0.0.1", 1), protocol)
        transport.begin(wire, protocol)
        while protocol.data != b"end":
            await asyncio.sleep(0)
            turns += 1
        assert turns > 90
        transport.close()
        await protocol.lost.wait()

    uvloop.run(asyncio.wait_for(main(), 10))
    other.close()


class Answering:
    """OpenSSL that has to answer before it reads on, through a socket that is full."""

    def __init__(self, sock):
        self.sock, self.asked = sock, 0

    def read(self, size):
        self.asked += 1
        try:
            self.sock.send(b"x")
        except BlockingIOError:
            raise ssl.SSLWantWriteError from None
        return self.sock.recv(size)

    def shutdown(self):
        pass


def test_who_takes_no_answers_of_openssl_is_not_read_again_and_again():
    own, other = socket.socketpair()
    own.setblocking(False)

    async def main():
        protocol, wire = Listening(), type("Of", (), {"_sslobj": Answering(own), "plain": True})()
        with contextlib.suppress(BlockingIOError):
            while True:
                own.send(bytes(65536))
        transport = Secured(asyncio.get_running_loop(), own, ("127.0.0.1", 1), protocol)
        transport.begin(wire, protocol)
        other.send(b"read me")
        for _ in range(50):
            await asyncio.sleep(0)
        assert wire._sslobj.asked == 1 and protocol.data == b""
        other.setblocking(False)
        while protocol.data != b"read me":
            with contextlib.suppress(BlockingIOError):
                other.recv(1 << 20)
            await asyncio.sleep(0)
        transport.close()
        await asyncio.wait_for(protocol.lost.wait(), 5)

    uvloop.run(asyncio.wait_for(main(), 10))
    other.close()
