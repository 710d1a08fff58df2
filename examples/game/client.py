import sys

import fireflyzmq as netsvc

player = sys.argv[1]

with netsvc.Client() as client:
    gate = client.serviceEndPoint("gate", wait=5)
    entered = gate.login(player)
    state = entered["state"]
    print(f"{player} is on {entered['node']}, at {state['place']} after {state['moves']} moves")
    for steps in (1, 2, 3):
        state = gate.walk(steps)
        print(f"{steps} step{'s' * (steps > 1)}: at {state['place']} after {state['moves']} moves")
    gate.logout()
