import os
import signal

import fireflyzmq as netsvc

dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)

exchange = netsvc.Exchange(netsvc.EXCHANGE_SERVER)
if "FIREFLYZMQ_EXCHANGE" in os.environ:
    address = exchange.listen(os.environ["FIREFLYZMQ_EXCHANGE"])
else:
    address = exchange.listen(11111)
print(f"exchange listens at {address}", flush=True)

dispatcher.run()
