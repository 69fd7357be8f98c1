"""What the supervisor does when something of its own goes wrong."""

from __future__ import annotations

import asyncio

from proxy.config.model import Model
from proxy.process.channel import Channel, Ready
from proxy.process.supervisor import Supervisor

MODEL = Model.model_validate({"runtime": "/r"})


class Faulty(Supervisor):
    """One that cannot take over its first new configuration."""

    def __init__(self, channel: Channel) -> None:
        self.model = MODEL
        self.channel = channel
        self.posts = {}
        self.orders = asyncio.Queue()
        self.changes = 0

    async def change(self, model: Model) -> None:
        self.changes += 1
        if self.changes == 1:
            raise KeyError("a fault of ours")


def test_a_fault_while_a_configuration_is_taken_over_ends_nobody(caplog):
    async def life():
        ours, theirs = Channel.pair()
        supervisor = Faulty(theirs)
        work = asyncio.create_task(supervisor.work())
        for _ in range(2):
            supervisor.orders.put_nowait(MODEL)
        while supervisor.changes < 2:
            assert not work.done()
            await asyncio.sleep(0)
        work.cancel()
        await asyncio.wait((work,))
        assert [message for message, _ in ours.receive()] == [Ready()]
        ours.close()
        theirs.close()

    asyncio.run(life())
    assert "not all as the new configuration says" in caplog.text
