import signal

import fireflyzmq as netsvc


class Gate(netsvc.Root):
    """Where clients come in. It knows which client plays whom, and on which node that player is."""

    def __init__(self):
        super().__init__("gate")
        self.players = {}  # by the client's address, which the exchange vouches for
        self.nodes = {}  # by the player; None: on none just now
        for method in (self.login, self.walk, self.logout):
            self.exportMethod(method)

    # What clients call.

    async def login(self, player):
        client = self.currentRequest().sender
        self.remove(client)
        if player in self.nodes:
            raise netsvc.Failure(409, f"{player} is in the game already")
        self.players[client.address] = player
        self.nodes[player] = None
        self.subscribeServiceAddress(self.client_changed, client)
        return await self.place(player)

    async def walk(self, steps):
        player = self.players.get(self.currentRequest().sender.address)
        if player is None:
            raise netsvc.Failure(401, "log in first")
        if self.nodes[player] is None:
            await self.place(player)
        return await self.callChild(self.nodes[player], "walk", player, steps)

    def logout(self):
        self.remove(self.currentRequest().sender)

    # Where players are.

    async def place(self, player):
        """Put a player on the node with the fewest; returns the node's name and the player's state."""
        names = sorted(child.name for child in self.children())
        if not names:
            raise netsvc.Failure(503, "no game node is there")
        crowds = list(self.nodes.values())
        node = self.nodes[player] = min(names, key=crowds.count)
        try:
            return {"node": node, "state": await self.callChild(node, "enter", player)}
        except netsvc.Failure:
            self.take_off(player)
            raise

    def take_off(self, player):
        node = self.nodes.get(player)
        if node is not None:
            self.nodes[player] = None
            self.ignoreResponse(self.callChild(node, "leave", player))

    def remove(self, client):
        player = self.players.pop(client.address, None)
        if player is not None:
            self.unsubscribeServiceAddress(client)
            self.take_off(player)
            del self.nodes[player]

    def client_changed(self, client, status):
        if status == netsvc.SERVICE_WITHDRAWN:
            self.remove(client)

    def doChildConnect(self, name, binding):
        print(f"gate: {name} comes", flush=True)

    def doChildLostConnect(self, name, reason):
        print(f"gate: {name} goes ({reason})", flush=True)
        for player, node in self.nodes.items():
            if node == name:
                self.nodes[player] = None


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
gate = Gate()
dispatcher.run()
