"""A proxy between Kafka's clients and brokers that lets requests and answers meet faults. See `kafka_faults`.

It runs on a loop and a thread of its own. `play` gives it a rule; `silence`, `refuse` and `mend` are for all.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path

from kafka_faults import Direction, Fault, FaultLog, Kind, Rule
from kafka_wire import Request, framed, read_frame

PIECES = 64
# How long a connection that its client has left waits for its last answer.
LAST_ANSWER = 10


class Proxy:
    def __init__(self, ways: dict[int, int]):
        """`ways`: the port that a broker answers at, by the proxy's own port for it."""
        self._ways = ways
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._opened = 0
        self.silent = False
        self._failure: BaseException | None = None
        self._set_rule(None, None)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(self._listen())

    # --- for tests, from any thread

    def play(self, rule: Rule, file: Path) -> FaultLog:
        """From now on `rule` decides; requests and time count from here. What it decides is listed in `file`."""
        log = FaultLog(file)
        self._loop.call_soon_threadsafe(self._set_rule, rule, log)
        return log

    def rest(self):
        """No more faults, and a proxy as new. Fails if a rule has failed."""
        self._loop.call_soon_threadsafe(self._set_rule, None, None)
        self.mend()
        failure, self._failure = self._failure, None
        assert failure is None, f"a rule failed: {failure!r}"

    def silence(self):
        """Connections are accepted and kept, and nothing passes in either direction."""
        self.silent = True

    def refuse(self):
        """No connection is accepted, and there are none."""
        self._do(self._close())

    def mend(self):
        """As at first; connections that had been silent are closed."""
        self._do(self._mend())

    def stop(self):
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    # --- on the loop

    def _set_rule(self, rule: Rule | None, log: FaultLog | None):
        self._rule, self._log, self._counts = rule, log, Counter()

    def _do(self, work: Coroutine):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _listen(self):
        for own, broker in self._ways.items():

            async def accept(reader, writer, broker=broker):
                await self._accept(reader, writer, broker)

            self._servers.append(await asyncio.start_server(accept, "127.0.0.1", own))

    async def _close(self):
        for server in self._servers:
            server.close()
        self._servers.clear()
        self._close_connections()

    async def _end(self):
        await self._close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _close_connections(self):
        for connection in list(self._connections):
            connection.close()

    async def _mend(self):
        if self.silent:
            self.silent = False
            self._close_connections()
        if not self._servers:
            await self._listen()

    async def _accept(self, reader, writer, broker: int):
        try:
            upstream = await asyncio.open_connection("127.0.0.1", broker)
        except OSError:
            writer.close()
            return
        self._opened += 1
        connection = Connection(self, self._opened, (reader, writer), upstream)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            connection.close()
            self._connections.discard(connection)

    async def judge(self, request: Request) -> Fault | None:
        self._counts[request.client, request.api] += 1
        request.nth = self._counts[request.client, request.api]
        rule, log = self._rule, self._log
        if rule is None:
            return None
        try:
            fault = await rule(request)
        except Exception as failure:
            self._failure = failure
            return None
        if fault:
            log.put(request, fault)
        return fault


class Connection:
    """A client's connection and the one to the broker that stands for it."""

    def __init__(self, proxy: Proxy, number: int, client, broker):
        self._proxy, self._number = proxy, number
        self._client_reader, self._client = client
        self._broker_reader, self._broker = broker
        self._name: str | None = None
        self._waiting: dict[int, tuple[Request, Fault | None]] = {}
        self._left = False
        self._over = asyncio.Event()

    async def run(self):
        answers = asyncio.create_task(self._answers())
        try:
            while frame := await read_frame(self._client_reader):
                request = self._named(Request(frame))
                fault = await self._proxy.judge(request)
                if self._proxy.silent:
                    continue
                self._waiting[request.correlation] = request, fault
                await self._deliver(request, fault)
                if self._left:
                    return
        except (ConnectionError, OSError, RuntimeError):  # RuntimeError: a direction that was closed
            pass
        finally:
            answers.cancel()

    def close(self):
        self._over.set()
        for writer in (self._client, self._broker):
            with suppress(OSError, RuntimeError):
                writer.close()

    def _named(self, request: Request) -> Request:
        """A connection has the name of its lane once a request has told it; until then the client's id."""
        if identity := request.identity:
            # Of a transactional id that ends in the static member's name, only the latter.
            self._name = ".".join(identity.split(".")[-2:])
        request.connection, request.client = self._number, self._name or request.client_id
        return request

    async def _deliver(self, request: Request, fault: Fault | None):
        data = framed(request.frame)
        match fault and (fault.kind, fault.direction):
            case None | (Kind.DELAY | Kind.SLICE | Kind.THROTTLE, Direction.ANSWER):
                await _send(self._broker, data)
            case Kind.DELAY, _:
                await fault.moment()
                await _send(self._broker, data)
            case Kind.DROP, Direction.REQUEST:
                self._leave()
            case Kind.DROP, Direction.ANSWER:
                await _send(self._broker, data)
                await self._last_answer(fault)
            case Kind.LATE, _:
                self._leave()
                await fault.moment()
                await _send(self._broker, data)
                await self._last_answer(fault)
            case Kind.HALF_CLOSE, Direction.REQUEST:
                await _send(self._broker, data)
                self._broker.write_eof()
            case Kind.HALF_CLOSE, Direction.ANSWER:
                await _send(self._broker, data)
                self._client.write_eof()
                self._left = True
                await self._last_answer(fault)
            case Kind.SLICE | Kind.THROTTLE, _:
                await _send_slowly(self._broker, data, fault)
            case Kind.SWALLOW, _:
                while await read_frame(self._client_reader):
                    pass

    def _leave(self):
        self._left = True
        self._client.close()

    async def _last_answer(self, fault: Fault):
        """The request was delivered for a client that has left, or leaves now."""
        if not self._left:
            self._leave()
        with suppress(TimeoutError):
            await asyncio.wait_for(_answered(fault, self._over), LAST_ANSWER)

    async def _answers(self):
        try:
            while frame := await read_frame(self._broker_reader):
                correlation = int.from_bytes(frame[:4], "big", signed=True)
                request, fault = self._waiting.pop(correlation, (None, None))
                if self._proxy.silent:
                    continue
                if not self._left:
                    await self._answer(framed(frame), fault)
                elif fault:
                    fault.error = request.error(frame)
                    fault.answered.open()
        except (ConnectionError, OSError, RuntimeError):
            pass
        finally:
            if not self._left:
                self._client.close()
            self._over.set()

    async def _answer(self, data: bytes, fault: Fault | None):
        if fault is None or fault.direction == Direction.REQUEST:
            await _send(self._client, data)
        elif fault.kind == Kind.DELAY:
            await fault.moment()
            await _send(self._client, data)
        else:
            await _send_slowly(self._client, data, fault)


async def _answered(fault: Fault, over: asyncio.Event):
    waits = [asyncio.create_task(fault.answered.opened()), asyncio.create_task(over.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _send(writer: asyncio.StreamWriter, data: bytes):
    writer.write(data)
    await writer.drain()


async def _send_slowly(writer: asyncio.StreamWriter, data: bytes, fault: Fault):
    """A slice is small and quick; a throttled frame takes its time."""
    pause = fault.seconds / PIECES if fault.kind == Kind.THROTTLE else 0.001
    size = max(1, -(-len(data) // PIECES))
    for at in range(0, len(data), size):
        await _send(writer, data[at : at + size])
        await asyncio.sleep(pause)
