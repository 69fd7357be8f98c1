"""The resolver with name servers of its own: what answers mean, who is asked, and what is remembered."""

from __future__ import annotations

import asyncio

import dns.message
import dns.rrset
import pytest

from proxy.upstream import dns as module
from proxy.upstream.dns import DEEPEST, MOST_QUERIES, Dns, Reply, Service, place


def asked(answers, asks=None):
    """Stands in for the servers: answers by name and type; OSError where an error is said."""

    async def ask(name, kind, timeout):
        if asks is not None:
            asks.append((name, kind))
        found = answers.get((name, kind), Reply((), "", 0.0))
        if isinstance(found, Exception):
            raise found
        return found

    return ask


def looked_up(answers, name="a.test", **settings):
    async def run():
        return await Dns(["127.0.0.1"], ask=asked(answers), **settings).addresses(name)

    return asyncio.run(run())


A = ("a.test", "A")
AAAA = ("a.test", "AAAA")
FOUR = Reply(("127.0.0.2",), "", 60.0)
SIX = Reply(("::2",), "", 60.0)
LEADS = Reply((), "b.test", 60.0)
TARGET = {("b.test", "A"): Reply(("127.0.0.9",), "", 60.0)}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({A: FOUR}, ["127.0.0.2"]),
        ({AAAA: SIX}, ["::2"]),
        ({A: FOUR, AAAA: SIX}, ["127.0.0.2", "::2"]),
        ({A: LEADS, AAAA: LEADS, **TARGET}, ["127.0.0.9"]),
        ({A: FOUR, AAAA: LEADS, **TARGET}, ["127.0.0.2"]),  # an address counts more than another name
    ],
)
def test_addresses(answers, expected):
    assert looked_up(answers) == expected


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {A: FOUR, AAAA: OSError("SERVFAIL")},  # an error of either is an error
        {A: LEADS, **TARGET},  # the last answer decides where the name leads, and it leads nowhere
        {A: LEADS, AAAA: LEADS},
    ],
)
def test_no_addresses(answers):
    with pytest.raises(OSError):
        looked_up(answers)


def test_one_family_alone():
    assert looked_up({A: FOUR, AAAA: SIX}, ipv4=False) == ["::2"]
    assert looked_up({A: FOUR, AAAA: OSError("SERVFAIL")}, ipv6=False) == ["127.0.0.2"]


def test_addresses_ask_nobody():
    assert looked_up({}, "127.0.0.7") == ["127.0.0.7"]


def test_answers_are_kept_and_errors_are_not():
    asks = []
    answers = {A: OSError("SERVFAIL")}

    async def run():
        resolver = Dns(["127.0.0.1"], ask=asked(answers, asks), ipv6=False)
        with pytest.raises(OSError):
            await resolver.addresses("a.test")
        answers[A] = FOUR
        assert await resolver.addresses("A.test.") == ["127.0.0.2"]
        answers[A] = OSError("SERVFAIL")
        assert await resolver.addresses("a.test") == ["127.0.0.2"]

    asyncio.run(run())
    assert len(asks) == 2


def test_a_time_to_live_of_nothing_is_asked_again_unless_valid_says_otherwise():
    for valid, times in ((0.0, 2), (30.0, 1)):
        asks = []

        async def run(resolver):
            for _ in range(2):
                assert await resolver.addresses("a.test") == ["127.0.0.2"]

        answers = {A: Reply(("127.0.0.2",), "", 0.0)}
        asyncio.run(run(Dns(["127.0.0.1"], valid, ipv6=False, ask=asked(answers, asks))))
        assert len(asks) == times


def test_everybody_shares_one_query():
    asks = []

    async def run():
        resolver = Dns(["127.0.0.1"], ask=asked({A: FOUR}, asks), ipv6=False)
        await asyncio.gather(*(resolver.addresses("a.test") for _ in range(5)))

    asyncio.run(run())
    assert asks == [A]


def test_nobody_waits_longer_than_the_timeout():
    async def silent(name, kind, timeout):
        await asyncio.get_running_loop().create_future()

    async def run():
        with pytest.raises(OSError, match="no answer"):
            await Dns(["127.0.0.1"], timeout=0.02, ask=silent).addresses("a.test")

    asyncio.run(run())


async def silence(name, kind, timeout):
    await asyncio.get_running_loop().create_future()


@pytest.fixture
def prompt(monkeypatch):
    """Queries that nobody waits for end in the loop's next turn."""
    monkeypatch.setattr(module, "LINGER", 0.0)


async def turns(number=4):
    for _ in range(number):
        await asyncio.sleep(0)


def test_a_query_ends_when_nobody_waits_for_it(prompt):
    ended = []

    async def silent(name, kind, timeout):
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(kind)

    async def run():
        resolver = Dns(["127.0.0.1"], ask=silent, ipv6=False)
        first, second = (asyncio.ensure_future(resolver.addresses("a.test")) for _ in range(2))
        for _ in range(3):
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first})
        assert not ended
        second.cancel()
        await asyncio.wait({second})
        await turns()
        assert ended == ["A"]

    asyncio.run(run())


def test_whoever_asks_after_that_begins_anew(prompt):
    asks = []

    async def run():
        resolver = Dns(["127.0.0.1"], ask=silence, ipv6=False)
        left = asyncio.ensure_future(resolver.addresses("a.test"))
        for _ in range(3):
            await asyncio.sleep(0)
        left.cancel()
        resolver._ask = asked({A: FOUR}, asks)
        await turns()
        assert await resolver.addresses("a.test") == ["127.0.0.2"] and asks == [A]
        assert not resolver._queries and not resolver._waiting

    asyncio.run(run())


def test_whoever_comes_in_time_shares_a_query_that_was_left():
    asks = []

    async def silent(name, kind, timeout):
        asks.append(kind)
        await asyncio.get_running_loop().create_future()

    async def run():
        resolver = Dns(["127.0.0.1"], ask=silent, ipv6=False)
        left = asyncio.ensure_future(resolver.addresses("a.test"))
        await turns()
        left.cancel()
        await turns()
        come = asyncio.ensure_future(resolver.addresses("a.test"))
        await turns()
        resolver._forsaken("a.test", resolver._queries["a.test"])  # the time is over
        await turns()
        assert asks == ["A"] and not come.done()
        come.cancel()
        await asyncio.wait({come})
        await resolver.close()

    asyncio.run(run())


def test_not_more_than_so_many_queries_at_a_time(prompt):
    async def run():
        resolver = Dns(["127.0.0.1"], ask=silence)
        waiting = [asyncio.ensure_future(resolver.addresses(f"{number}.test")) for number in range(MOST_QUERIES)]
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="too many names"):
            await resolver.addresses("one-more.test")
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
        await turns()
        resolver._ask = asked({("one-more.test", "A"): FOUR})
        assert await resolver.addresses("one-more.test") == ["127.0.0.2"]

    asyncio.run(run())


def test_names_that_lead_on_and_on():
    async def on(name, kind, timeout):
        return Reply((), f"{int(name.partition('.')[0]) + 1}.test", 1.0)

    async def round_about(name, kind, timeout):
        return Reply((), "b.test" if name == "a.test" else "a.test", 1.0)

    async def run(ask, name, match):
        with pytest.raises(OSError, match=match):
            await Dns(["127.0.0.1"], timeout=0.5, ask=ask).addresses(name)

    asyncio.run(run(on, "1.test", "too many names"))
    asyncio.run(run(round_about, "a.test", "no answer"))
    assert DEEPEST == 50


class Server(asyncio.DatagramProtocol):
    """A name server that answers what a function says."""

    def __init__(self, answer):
        self.answer = answer

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        self.answer(response)
        self.transport.sendto(response.to_wire(), peer)


def over_udp(answers, ask):
    """Runs `ask(resolver)` with a server on loopback for each of `answers`."""

    async def run():
        loop = asyncio.get_running_loop()
        ends = [await loop.create_datagram_endpoint(lambda a=a: Server(a), ("127.0.0.1", 0)) for a in answers]
        servers = [f"127.0.0.1:{end[0].get_extra_info('sockname')[1]}" for end in ends]
        try:
            return await ask(Dns(servers))
        finally:
            for end in ends:
                end[0].close()

    return asyncio.run(run())


def test_a_server_with_a_port():
    def answer(response):
        name = response.question[0].name
        if response.question[0].rdtype == dns.rdatatype.A:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "127.0.0.3"))

    assert over_udp([answer], lambda resolver: resolver.addresses("a.test")) == ["127.0.0.3"]


def test_servers_take_turns_and_an_error_is_final():
    def wrong(response):
        response.set_rcode(dns.rcode.SERVFAIL)

    def right(response):
        if response.question[0].rdtype == dns.rdatatype.A:
            response.answer.append(dns.rrset.from_text(response.question[0].name, 60, "IN", "A", "127.0.0.4"))

    async def ask(resolver):
        with pytest.raises(OSError, match="SERVFAIL"):
            await resolver.addresses("a.test")
        return await resolver.addresses("a.test")

    assert over_udp([wrong, right], ask) == ["127.0.0.4"]


def test_services():
    def answer(response):
        texts = ("20 1 81 y.test.", "10 5 80 x.test.")
        response.answer.append(dns.rrset.from_text(response.question[0].name, 60, "IN", "SRV", *texts))

    found, _ = over_udp([answer], lambda resolver: resolver.services("_http._tcp.test"))
    assert found == [Service(10, 5, "x.test", 80), Service(20, 1, "y.test", 81)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.1.1.1", ("1.1.1.1", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("[::1]:54", ("::1", 54)),
        ("::1", ("::1", 53)),
    ],
)
def test_places(text, expected):
    assert place(text) == expected


def test_a_server_must_be_an_address():
    with pytest.raises(ValueError):
        place("ns.test:53")
