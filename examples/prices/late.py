import asyncio

import fireflyzmq as netsvc

KEPT, NEW = 3, 3


async def main() -> None:
    async with netsvc.connect() as peer:
        seen = 0
        async for report in peer.monitorReports(None, "prices", "price.*"):
            metal = report.subject.removeprefix("price.")
            print(f"{metal} {report.content['price']} (tick {report.content['tick']})", flush=True)
            seen += 1
            if seen == KEPT + NEW:
                break


asyncio.run(main())
