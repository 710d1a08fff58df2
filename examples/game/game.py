import asyncio
import signal
import sys

import fireflyzmq as netsvc

SAVE_SECONDS = 1


class Player:
    """A player on this node: the state, which is the truth while it is here, and the sessions that play it."""

    def __init__(self, state: dict[str, int]) -> None:
        self.state = state
        self.changed = False
        self.sessions: set[str] = set()


class Game(netsvc.Child):
    """A game node. Players' states are here, once a second what has changed goes to the database."""

    def __init__(self, name: str) -> None:
        super().__init__(name, root="gate")
        self.clients = netsvc.Sessions(self)
        self.database = self.serviceEndPoint("database", wait=10)
        self.players: dict[str, Player] = {}  # by name
        self.users: dict[str, str] = {}  # the name of each session's player
        self.saving = asyncio.Lock()
        self.stopping = False
        self.exportMethod(self.enter, root="gate")  # nobody else may
        for method in (self.walk_201, self.look_202, self.say_203):
            self.exportMethod(method)
        self.scheduleAction(self.keep_saving)

    # What clients ask for.

    def walk_201(self, session: str, body: dict[str, object]) -> dict[str, int]:
        name, player = self.player_of(session)
        steps = body["steps"]
        if not (isinstance(steps, int) and 1 <= steps <= 9):
            raise netsvc.Failure(400, "1 to 9 steps")
        player.state["place"] += steps
        player.state["moves"] += 1
        player.changed = True
        self.clients.push(301, {"user": name, "place": player.state["place"]}, list(self.users))
        return player.state

    def look_202(self, session: str, body: dict[str, object]) -> dict[str, int]:
        self.player_of(session)
        return {name: player.state["place"] for name, player in self.players.items()}

    def say_203(self, session: str, body: dict[str, object]) -> dict[str, object]:
        name, _ = self.player_of(session)
        self.clients.push(302, {"user": name, "text": str(body["text"])[:200]}, channel="players")
        return {}

    def player_of(self, session: str) -> tuple[str, Player]:
        if self.stopping or session not in self.users:
            raise netsvc.Failure(503, f"you are not on {self.serviceName()} now")
        name = self.users[session]
        return name, self.players[name]

    # Coming and going.

    async def enter(self, session: str, name: str) -> dict[str, int]:
        """The gate lets a player in, by one session more."""
        if self.stopping:
            raise netsvc.ServiceUnavailable(f"{self.serviceName()} stops")
        if name not in self.players:
            player = Player(await self.database.load(name))
            self.players.setdefault(name, player)
            print(f"{self.serviceName()}: {name} comes", flush=True)
        self.users[session] = name
        self.players[name].sessions.add(session)
        self.clients.monitor(self.session_ended, session)
        return self.players[name].state

    async def session_ended(self, session: str, reason: str) -> None:
        """The netport says so: it tells the services that want to know, whatever the reason."""
        player = self.players.get(self.users.pop(session))
        if player is not None:
            player.sessions.discard(session)
            if not player.sessions:
                await self.save()

    # The players' states.

    async def keep_saving(self) -> None:
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            await self.save()

    async def save(self) -> None:
        """Save what has changed; then those go whose last session has ended."""
        async with self.saving:  # so that no state overtakes a newer one
            changed = {name: player for name, player in self.players.items() if player.changed}
            for player in changed.values():
                player.changed = False
            taken: list[str] = []
            if changed:
                try:
                    taken = await self.database.save({name: player.state for name, player in changed.items()})
                except netsvc.Failure as failure:
                    print(f"{self.serviceName()}: not saved: {failure}", flush=True)
                    for player in changed.values():
                        player.changed = True
            for name, player in list(self.players.items()):
                if name in taken or not (player.sessions or player.changed):
                    self.go(name)

    def go(self, name: str) -> None:
        del self.players[name]
        self.ignoreResponse(self.callRemote("left", name))
        print(f"{self.serviceName()}: {name} goes", flush=True)

    def drain(self) -> asyncio.Task[None]:
        """The node is stopped: from now on nothing changes, and all is saved before the node goes."""
        self.stopping = True
        return asyncio.ensure_future(self.save_and_drain())

    async def save_and_drain(self) -> None:
        await self.save()
        await super().drain()


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
game = Game(sys.argv[1])
dispatcher.run()
