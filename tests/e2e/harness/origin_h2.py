"""The origin's HTTP/2 side, on python3-h2."""
import asyncio

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from .messages import Request


class _Stream:
    def __init__(self, headers):
        self.headers = headers
        self.trailers = []
        self.complete = False
        self.body = bytearray()
        self.window = asyncio.Event()


def _note_broken(origin, stream):
    if stream is not None and not stream.complete:
        origin.broken.append(dict(stream.headers).get(":path"))


async def serve(origin, reader, writer, number):
    connection = h2.connection.H2Connection(
        h2.config.H2Configuration(client_side=False, header_encoding="latin-1"))
    connection.initiate_connection()
    writer.write(connection.data_to_send())
    streams, tasks = {}, set()
    try:
        while True:
            received = await reader.read(65536)
            if not received:
                return
            for event in connection.receive_data(received):
                if isinstance(event, h2.events.RequestReceived):
                    streams[event.stream_id] = _Stream(event.headers)
                elif isinstance(event, h2.events.TrailersReceived):
                    streams[event.stream_id].trailers = event.headers
                elif isinstance(event, h2.events.DataReceived):
                    streams[event.stream_id].body += event.data
                    connection.acknowledge_received_data(event.flow_controlled_length,
                                                         event.stream_id)
                elif isinstance(event, h2.events.WindowUpdated):
                    for stream in streams.values():
                        stream.window.set()
                elif isinstance(event, h2.events.StreamReset):
                    _note_broken(origin, streams.pop(event.stream_id, None))
                elif isinstance(event, h2.events.StreamEnded):
                    streams[event.stream_id].complete = True
                    task = asyncio.ensure_future(_answer(origin, connection, writer, streams,
                                                         event.stream_id, number))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
            writer.write(connection.data_to_send())
            await writer.drain()
    except h2.exceptions.ProtocolError as error:
        origin.failures.append(error)
    finally:
        for task in list(tasks):
            task.cancel()
        for stream in streams.values():
            _note_broken(origin, stream)


async def _answer(origin, connection, writer, streams, stream_id, number):
    stream = streams[stream_id]
    pseudo = {k: v for k, v in stream.headers if k.startswith(":")}
    request = Request(
        pseudo[":method"], pseudo.get(":path", ""), pseudo.get(":authority", ""),
        [(k, v) for k, v in stream.headers if not k.startswith(":")], bytes(stream.body), "h2",
        number, writer.get_extra_info("peername"), stream.trailers)
    origin.requests.append(request)
    reply = await origin.answer(request)
    try:
        connection.send_headers(stream_id, [(":status", str(reply.status)), *reply.headers])
        origin.open_streams += 1
        try:
            if reply.chunks is None:
                await _send(connection, writer, stream, stream_id, reply.body)
            else:
                async for chunk in reply.chunks:
                    if stream_id not in streams:
                        return
                    await _send(connection, writer, stream, stream_id, chunk)
            if reply.trailers:
                connection.send_headers(stream_id, reply.trailers, end_stream=True)
            else:
                connection.end_stream(stream_id)
            writer.write(connection.data_to_send())
            await writer.drain()
        finally:
            origin.open_streams -= 1
    except (h2.exceptions.ProtocolError, OSError):
        pass
    finally:
        streams.pop(stream_id, None)


async def _send(connection, writer, stream, stream_id, payload):
    while payload:
        room = min(connection.local_flow_control_window(stream_id),
                   connection.max_outbound_frame_size)
        if room <= 0:
            stream.window.clear()
            await stream.window.wait()
            continue
        connection.send_data(stream_id, payload[:room])
        payload = payload[room:]
        writer.write(connection.data_to_send())
        await writer.drain()
    writer.write(connection.data_to_send())
