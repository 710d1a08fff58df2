import fireflyzmq as netsvc

with netsvc.Client() as client:
    shop = client.serviceEndPoint("shop", timeout=10, wait=5)
    order = shop.order("a lamp", 0.1)
    print("ordered", order["item"])
    for place in ("shop", "stock", "at last"):
        print(f"seconds left, {place}: {order[place]:.2f}")

    try:
        client.serviceEndPoint("shop", timeout=1).order("a unicorn", 3600)
    except netsvc.RequestTimeout as failure:
        print("failed:", failure)
