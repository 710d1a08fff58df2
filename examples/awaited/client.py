import asyncio

import fireflyzmq as netsvc


async def main() -> None:
    async with netsvc.connect() as peer:
        math = peer.serviceEndPoint("math", wait=5)
        print("6 * 7 =", await math.multiply(6, 7))

        squares = await asyncio.gather(*(math.multiply(n, n) for n in range(1, 6)))
        print("squares:", squares)

        try:
            await math.multiply(6)
        except netsvc.InvalidArguments as failure:
            print("failed:", failure)


asyncio.run(main())
