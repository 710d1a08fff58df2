import asyncio
import collections
import signal

import fireflyzmq as netsvc


class Player:
    """A player who is in the game, or about to be: by which sessions, and on which game node."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sessions: set[str] = set()
        self.node: netsvc.Binding | None = None
        self.moving = asyncio.Lock()


class Gate(netsvc.Root):
    """Lets players in, and knows on which of its children, the game nodes, each of them is."""

    def __init__(self) -> None:
        super().__init__("gate", unique=True, visibility=netsvc.SERVICE_HIDDEN)
        self.clients = netsvc.Sessions(self)
        self.database = self.serviceEndPoint("database", wait=5)
        self.players: dict[str, Player] = {}  # by name
        self.users: dict[str, Player] = {}  # the player of each session
        for method in (self.login_101, self.shout_102, self.logout_103, self.kick, self.place, self.left):
            self.exportMethod(method)
        self.scheduleAction(self.remember)

    async def remember(self) -> None:
        """The gate may have been started again: the netports know who is there, and where."""
        await self.ready()
        for sessions in (await self.clients.sessions()).values():
            for each in [] if isinstance(sessions, netsvc.Failure) else sessions:
                if each["user"] and each["attached"].get("game") and each["id"] not in self.users:
                    self.add(each["id"], each["user"]).node = each["attached"]["game"]
        self.announceAvailability()  # now who has commands for the gate may find it

    # What clients ask for. A session is named by its id, which says at which netport it is.

    async def login_101(self, session: str, body: dict[str, object]) -> dict[str, str | int]:
        name = body["user"]
        if not (isinstance(name, str) and name.isidentifier() and len(name) <= 20):
            raise netsvc.Failure(400, "a name has 1 to 20 letters and digits")
        if session in self.users:
            raise netsvc.Failure(409, "this session has logged in already")
        if not await self.database.admit(name, body["password"]):
            raise netsvc.Failure(401, "wrong password")
        player = self.add(session, name)
        try:
            state = await self.enter(player, session)
            await self.clients.attach(session, "game", player.node)
            await self.clients.bind(session, name)
            await self.clients.join(session, "players")
        except netsvc.Failure as failure:
            self.put_out([session], "refused", f"you cannot play now: {failure.description}")
            raise
        assert player.node is not None  # since it has entered
        return {"node": player.node.name, **state}

    def shout_102(self, session: str, body: dict[str, object]) -> dict[str, object]:
        player = self.player_of(session)
        self.clients.push(900, {"text": f"{player.name} shouts: {str(body['text'])[:200]}"}, everyone=True)
        return {}

    def logout_103(self, session: str, body: dict[str, object]) -> None:
        self.put_out([session], "logout", f"goodbye, {self.player_of(session).name}")

    def player_of(self, session: str) -> Player:
        if session not in self.users:
            raise netsvc.Failure(401, "log in first")
        return self.users[session]

    # What operators ask for.

    def kick(self, name: str) -> None:
        """End all sessions of a player."""
        if name in self.players:
            self.put_out(list(self.players[name].sessions), "kicked", "the gate has put you out")

    def put_out(self, sessions: list[str], reason: str, text: str) -> None:
        self.clients.push(900, {"text": text}, sessions)
        for session in sessions:
            self.ignoreResponse(self.clients.close(session, reason))

    # Where players are.

    async def enter(self, player: Player, session: str, lost: netsvc.Binding | None = None) -> dict[str, int]:
        """Let a session in: where its player is, otherwise on the node with the fewest. Returns the player's state."""
        async with player.moving:
            while True:
                if player.node is None or player.node == lost:
                    player.node = self.emptiest_node(lost)
                try:
                    state: dict[str, int] = await self.child(player.node).enter(session, player.name)
                    return state
                except (netsvc.ServiceUnavailable, netsvc.ServiceWithdrawn):
                    lost = player.node

    def emptiest_node(self, lost: netsvc.Binding | None) -> netsvc.Binding:
        crowds = collections.Counter(player.node for player in self.players.values() if player.sessions)
        nodes = [node for node in self.children() if node != lost]
        if not nodes:
            raise netsvc.Failure(503, "no game node is there")
        return min(nodes, key=lambda node: (crowds[node], node.name))

    async def place(self, session: str, lost: netsvc.Binding) -> netsvc.Binding | None:
        """A netport asks where a session plays on whose game node is lost. None: nowhere, it has to log in again."""
        player = self.users.get(session)
        if player is None:
            return None
        await self.enter(player, session, lost)
        assert player.node is not None  # since it has entered
        print(f"gate: {player.name} plays on on {player.node.name}", flush=True)
        return player.node

    def add(self, session: str, name: str) -> Player:
        player = self.users[session] = self.players.setdefault(name, Player(name))
        player.sessions.add(session)
        self.clients.monitor(self.session_ended, session)
        return player

    def session_ended(self, session: str, reason: str) -> None:
        player = self.users.pop(session)
        player.sessions.discard(session)

    def left(self, name: str) -> None:
        """A game node has saved a player whose last session has ended."""
        player = self.players.get(name)
        if player and not player.sessions and player.node == self.currentRequest().sender:
            del self.players[name]
            print(f"gate: {name} has left", flush=True)

    def doChildConnect(self, name: str, binding: netsvc.Binding) -> None:
        print(f"gate: {name} comes", flush=True)

    def doChildLostConnect(self, name: str, reason: str) -> None:
        print(f"gate: {name} goes ({reason})", flush=True)


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
gate = Gate()
dispatcher.run()
