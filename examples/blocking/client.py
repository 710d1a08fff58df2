import concurrent.futures

import fireflyzmq as netsvc

with netsvc.Client() as client:
    math = client.serviceEndPoint("math", wait=5)
    print("6 * 7 =", math.multiply(6, 7))

    with concurrent.futures.ThreadPoolExecutor() as pool:
        print("squares:", list(pool.map(lambda n: math.multiply(n, n), range(1, 6))))

    try:
        client.serviceEndPoint("astrology").horoscope("aries")
    except netsvc.ServiceUnavailable as failure:
        print("failed:", failure)
