import asyncio
import concurrent.futures
import hashlib
import hmac
import os
import secrets
import signal
import sys

import sqlalchemy as sql

import fireflyzmq as netsvc

WRITE_SECONDS = 1

metadata = sql.MetaData()
players = sql.Table(
    "players",
    metadata,
    sql.Column("name", sql.String(20), primary_key=True),
    sql.Column("password", sql.String(200), nullable=False),
    sql.Column("place", sql.Integer, nullable=False),
    sql.Column("moves", sql.Integer, nullable=False),
)


class Database(netsvc.Service):
    """What is known of players for good. What changes is written once a second, in one transaction."""

    def __init__(self, engine: sql.Engine) -> None:
        super().__init__("database", unique=True)
        self.engine = engine
        self.thread = concurrent.futures.ThreadPoolExecutor(1)  # all SQL runs there, one after the other
        self.unwritten: dict[str, dict[str, int]] = {}  # states, by the player's name
        self.nodes: dict[str, netsvc.Binding] = {}  # who has loaded a player last, and therefore may save it
        for method in (self.admit, self.load, self.save):
            self.exportMethod(method)
        self.scheduleAction(self.keep_writing)

    # What gate and game nodes ask for.

    async def admit(self, name: str, password: object) -> bool:
        """Whether it is the player's password. The first one that comes with a name is."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.thread, self.check, name, str(password))

    async def load(self, name: str) -> dict[str, int]:
        self.nodes[name] = self.currentRequest().sender
        if name in self.unwritten:
            return self.unwritten[name]
        return await asyncio.get_running_loop().run_in_executor(self.thread, self.read, name)

    def save(self, states: dict[str, dict[str, int]]) -> list[str]:
        """Take what has changed. Returns the players that another node has loaded since: those are not saved.

        So a node that was cut off, and comes back when its players play on elsewhere, spoils nothing.
        """
        node = self.currentRequest().sender
        mine = [name for name in states if self.nodes.setdefault(name, node) == node]
        self.unwritten.update((name, states[name]) for name in mine)
        return [name for name in states if name not in mine]

    # Writing behind.

    async def keep_writing(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            batch = dict(self.unwritten)
            try:
                await loop.run_in_executor(self.thread, self.write, batch)
            except sql.exc.SQLAlchemyError as error:
                print("database: not written, will be tried again:", error, flush=True)
                continue
            for name, state in batch.items():
                if self.unwritten[name] is state:
                    del self.unwritten[name]

    def finish(self) -> None:
        """Write the rest, behind what may be being written."""
        self.thread.submit(self.write, self.unwritten).result()

    # SQL.

    def check(self, name: str, password: str) -> bool:
        with self.engine.begin() as connection:
            known = connection.execute(sql.select(players.c.password).where(players.c.name == name)).scalar()
            if known is None:
                row = {"name": name, "password": hashed(password, secrets.token_hex(8)), "place": 0, "moves": 0}
                connection.execute(sql.insert(players), row)
                return True
        return hmac.compare_digest(known, hashed(password, known.partition("$")[0]))

    def read(self, name: str) -> dict[str, int]:
        query = sql.select(players.c.place, players.c.moves).where(players.c.name == name)
        with self.engine.connect() as connection:
            place, moves = connection.execute(query).one()
        return {"place": place, "moves": moves}

    def write(self, states: dict[str, dict[str, int]]) -> None:
        if not states:
            return
        update = sql.update(players).where(players.c.name == sql.bindparam("player"))
        with self.engine.begin() as connection:
            connection.execute(update, [{"player": name, **state} for name, state in states.items()])
        for name, state in states.items():
            print(f"database: {name} written, at {state['place']} after {state['moves']} moves", flush=True)


def hashed(password: str, salt: str) -> str:
    return f"{salt}${hashlib.scrypt(password.encode(), salt=salt.encode(), n=1 << 14, r=8, p=1).hex()}"


engine = sql.create_engine(sys.argv[1] if len(sys.argv) > 1 else os.environ["GAME_DATABASE"], pool_pre_ping=True)
metadata.create_all(engine)

dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
database = Database(engine)
dispatcher.run()
database.finish()  # now that everybody has been answered who was promised that it is saved
