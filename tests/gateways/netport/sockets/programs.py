"""Programs that these tests run in processes of their own."""

from __future__ import annotations

NETPORT = """
import asyncio, logging, resource, sys
import fireflyzmq as netsvc
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
logging.basicConfig(level="WARNING")
dispatcher = netsvc.Dispatcher()
netsvc.Exchange().connect()

class Net(netsvc.NetPort):
    made = lost = 0

    def doConnectionMade(self, session):
        self.made += 1

    def doConnectionLost(self, session, reason):
        self.lost += 1

limits = netsvc.NetLimits(connections_per_address=20_000, first_frame_seconds=60)
net = Net(sys.argv[1], websocket=0, limits=limits, goodbye=(999, b"see you"))
net.forward(1, "game", "play")
net.forward(2, "game", "linger")
net.forward(3, attached="game", method="play")

@net.exportCommand(4)
def echo(session, body):
    return body

@net.exportCommand(5)
async def slowly(session, body):
    await asyncio.sleep(float(body))
    return body

net.exportMethod(lambda: (net.made, net.lost), "hooks")

async def announce():
    await net.ready()
    print("ready", net.port, net.websocketPort, flush=True)

net.scheduleAction(announce)
dispatcher.run()
print("stopped", net.made, net.lost, flush=True)
"""

GAME = """
import asyncio, logging, os, sys
import fireflyzmq as netsvc
logging.basicConfig(level="WARNING")
dispatcher = netsvc.Dispatcher()
netsvc.Exchange().connect()
game = netsvc.Service("game")
clients = netsvc.Sessions(game)

@game.exportMethod
def play(session, body):
    return b"played " + body

@game.exportMethod
async def linger(session, body):
    print("lingers", flush=True)
    await asyncio.sleep(600)

@game.exportMethod
async def take(session):
    clients.monitor(lambda id, reason: print("gone", id, reason, flush=True), session)
    return await clients.attach(session, "game")

async def announce():
    await game.ready()
    print("ready", flush=True)

game.scheduleAction(announce)
dispatcher.run()
"""

CROWD = """
import asyncio, resource, socket, struct, sys, time
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
port, count = int(sys.argv[1]), int(sys.argv[2])
header = struct.Struct(">4sBIII")

def frame(command, body):
    return header.pack(bytes(4), 0, 0, len(body) + 4, command) + body

class One(asyncio.Protocol):
    answered = pushed = ended = 0

    def connection_made(self, transport):
        self.transport = transport
        self.data = b""

    def data_received(self, data):
        self.data += data
        while len(self.data) >= 17 and len(self.data) >= 13 + int.from_bytes(self.data[9:13]):
            size = int.from_bytes(self.data[9:13])
            body, self.data = self.data[17:13 + size], self.data[13 + size:]
            if size - 4 == 5:
                One.answered += body == b"hello"
            else:
                One.pushed += body == b"to all"

    def connection_lost(self, error):
        One.ended += 1

async def said(word):
    assert (await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)).strip() == word

async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)

async def main():
    loop = asyncio.get_running_loop()
    ones = []
    for start in range(0, count, 500):
        made = await asyncio.gather(
            *(loop.create_connection(One, "127.0.0.1", port) for _ in range(min(500, count - start)))
        )
        ones.extend(one for _, one in made)
    for one in ones:
        one.transport.write(frame(4, b"hello"))
    await until(lambda: One.answered == count)
    print("answered", One.answered, flush=True)
    await until(lambda: One.pushed == count)
    print("pushed", One.pushed, flush=True)
    for index, one in enumerate(ones):
        if index % 2:
            one.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            one.transport.abort()
        else:
            one.transport.close()
    await until(lambda: One.ended == count)
    print("gone", flush=True)

asyncio.run(main())
"""
