"""A console on python3-websockets, for tests that drive the real uplink."""

import asyncio
import contextlib
import ssl
import threading

import websockets


@contextlib.contextmanager
def serving(talk, certificate, subprotocols, **options):
    """Serves `talk(socket)` on a loopback port, which is what it yields, in a thread with a loop of
    its own; the rest is for websockets.serve."""
    ready, port = threading.Event(), []
    loop = asyncio.new_event_loop()
    stop = loop.create_future()

    async def serve():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        async with websockets.serve(talk, "127.0.0.1", 0, ssl=context, subprotocols=subprotocols,
                                    **options) as server:
            port.append(server.sockets[0].getsockname()[1])
            ready.set()
            await stop

    def turn():
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    if not ready.wait(10):
        raise RuntimeError("the console does not listen")
    try:
        yield port[0]
    finally:
        loop.call_soon_threadsafe(stop.set_result, None)
        thread.join(10)
