import signal

import fireflyzmq as netsvc


class Prices(netsvc.Service):
    def __init__(self) -> None:
        super().__init__("prices")
        self.exportMethod(self.history)
        self.number = 0
        self.say("gold", 2400)
        self.say("copper", 4)
        self.say("silver", 30)
        self.startTimer(self.tick, 0.5)

    def say(self, metal: str, price: int) -> None:
        self.publishReport(f"price.{metal}", {"price": price, "tick": self.number}, lifeTime=-1)

    def tick(self) -> None:
        self.number += 1
        self.say("gold", 2400 + self.number)
        print(f"tick {self.number}", flush=True)
        self.startTimer(self.tick, 0.5)

    def history(self, ticks: int) -> None:
        """Publish a day's ticks, each with its order book, and at last that the day is over."""
        book = bytes(1000)
        for number in range(1, ticks):
            self.publishReport("history.gold", {"tick": number, "book": book})
        self.publishReport("history.end", {"tick": ticks})

    def handleSubscription(self, notice: netsvc.SubscriptionNotice) -> None:
        verb = "is monitored" if notice.status == netsvc.SUBSCRIPTION_REQUESTED else "is monitored no more"
        print(f"{notice.subject} {verb}", flush=True)


dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)
netsvc.Exchange().connect()
prices = Prices()
dispatcher.run()
