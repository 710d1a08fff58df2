import os
import signal
import sys

import fireflyzmq as netsvc

dispatcher = netsvc.Dispatcher()
dispatcher.monitor(signal.SIGINT)

exchange = netsvc.Exchange(netsvc.EXCHANGE_CLIENT)
if "FIREFLYZMQ_EXCHANGE" in os.environ:
    exchange.connect()
else:
    exchange.connect("localhost", 11111, 5)

port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
daemon = netsvc.HttpDaemon(port)
daemon.attach("/service", netsvc.xmlrpc.RpcGateway("web-services"))
daemon.start()
print(f"gateway listens at port {daemon.port()}", flush=True)

dispatcher.run()
