"""The origin's WebSocket echo: frames come back as they went, whatever their opcode."""
import base64
import hashlib

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def serve(origin, request, reader, writer):
    accept = base64.b64encode(hashlib.sha1(
        (request.header("sec-websocket-key") + GUID).encode()).digest()).decode()
    writer.write(("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n"
                  f"connection: Upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n").encode())
    origin.open_streams += 1
    try:
        while True:
            first, second = await reader.readexactly(2)
            length = second & 0x7F
            if length == 126:
                length = int.from_bytes(await reader.readexactly(2), "big")
            elif length == 127:
                length = int.from_bytes(await reader.readexactly(8), "big")
            mask = await reader.readexactly(4) if second & 0x80 else b"\0\0\0\0"
            payload = await reader.readexactly(length)
            plain = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
            opcode = first & 0x0F
            answer = 0x8A if opcode == 9 else 0x80 | opcode
            if length < 126:
                head = bytes([answer, length])
            else:
                head = bytes([answer, 126]) + length.to_bytes(2, "big")
            writer.write(head + plain)
            await writer.drain()
            if opcode == 8:
                return
    finally:
        origin.open_streams -= 1
