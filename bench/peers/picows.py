"""Echo and room on `picows`; the room is a bare loop over its members."""

import sys

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from bench.peers import tls
from bench.peers.loop import run

members: set[WSTransport] = set()


class Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


class Room(WSListener):
    def on_ws_disconnected(self, transport: WSTransport) -> None:
        members.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
            return
        payload = frame.get_payload_as_bytes()
        if payload == b"join":
            members.add(transport)
            transport.send(WSMsgType.TEXT, b"joined")
            return
        if payload == b"leave":
            members.discard(transport)
            transport.send(WSMsgType.TEXT, b"left")
            return
        for member in members:
            member.send(WSMsgType.TEXT, payload)


def listener(request: WSUpgradeRequest) -> WSListener:
    return Room() if request.path == b"/room" else Echo()


async def main(port: int) -> None:
    server = await ws_create_server(
        listener, "127.0.0.1", port, backlog=1024, max_frame_size=2**25, ssl=tls.context()
    )
    await server.serve_forever()


if __name__ == "__main__":
    run(main(int(sys.argv[1])))
