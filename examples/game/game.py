import signal
import sys

import fireflyzmq as netsvc


class Game(netsvc.Child):
    """A node where players are: their states are here, and after each move in the database."""

    def __init__(self, name):
        super().__init__(name, root=["gate", "database"])
        self.states = {}
        for method in (self.enter, self.walk, self.leave):
            self.exportMethod(method, root="gate")

    async def enter(self, player):
        self.states[player] = await self.callRemote("load", player, root="database")
        print(f"{self.serviceName()}: {player} comes", flush=True)
        return self.states[player]

    async def walk(self, player, steps):
        state = self.states[player]
        state["place"] += steps
        state["moves"] += 1
        await self.callRemote("save", player, state, root="database")
        return state

    def leave(self, player):
        if self.states.pop(player, None):
            print(f"{self.serviceName()}: {player} goes", flush=True)


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
game = Game(sys.argv[1])
dispatcher.run()
