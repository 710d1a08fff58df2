import signal

import fireflyzmq as netsvc

players = {}


@netsvc.rootserviceHandle
def load(player):
    return players.get(player, {"place": 0, "moves": 0})


@netsvc.rootserviceHandle
def save(player, state):
    players[player] = state
    print(f"database: {player} saved, at {state['place']} after {state['moves']} moves", flush=True)


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
database = netsvc.Root("database")
dispatcher.run()
