"""A steady load: requests are sent when they are due, whether or not earlier ones were answered (open loop)."""
import asyncio
import collections
import time

# One that is cut off or refused has no status.
Outcome = collections.namedtuple("Outcome", "due warm status took sound retry path")
MOST_CONNECTIONS = 400
LIMIT = 40.0


class Connection:
    """One keep-alive connection of HTTP/1.1."""

    def __init__(self, port):
        self.port, self.reader, self.writer = port, None, None

    async def get(self, path):
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return int(status.split()[1]), headers, body

    def close(self):
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


class Load:
    """Asks `paths` (path → whether it is warm) by turns and compares each 200 with what was answered before the faults."""

    def __init__(self, port, rate, warm, cold, cold_share=0.1):
        self.port, self.rate, self.expected = port, rate, {}
        self.paths, self.cold = warm, cold
        self.every = max(2, round(1 / cold_share))
        self.free, self.outcomes, self.running, self.open = [], [], set(), 0
        self.stopped = False

    async def learn(self):
        """What the right answers are."""
        connection = Connection(self.port)
        for path in [*self.paths, *self.cold]:
            status, _, body = await connection.get(path)
            if status != 200:
                raise SystemExit(f"error: {path}: {status} {body.decode()}")
            self.expected[path] = body
        connection.close()

    async def run(self):
        start, number = time.monotonic(), 0
        while not self.stopped:
            due = start + number / self.rate
            delay = due - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            is_cold = number % self.every == self.every - 1
            path = self.cold[number // self.every % len(self.cold)] if is_cold else self.paths[number % len(self.paths)]
            task = asyncio.create_task(self.one(path, due, not is_cold))
            self.running.add(task)
            task.add_done_callback(self.running.discard)
            number += 1
        if self.running:
            await asyncio.wait(self.running, timeout=LIMIT)

    async def one(self, path, due, warm):
        if not self.free and self.open >= MOST_CONNECTIONS:
            self.outcomes.append(Outcome(due, warm, None, 0, True, False, path))
            return
        self.open += 1
        connection = self.free.pop() if self.free else Connection(self.port)
        status, sound, retry = None, True, False
        try:
            reused = connection.writer is not None
            try:
                status, headers, body = await asyncio.wait_for(connection.get(path), LIMIT)
            except (OSError, asyncio.IncompleteReadError) as error:
                # As every client does: a connection that was closed while idle costs another attempt, no answer.
                if not reused or getattr(error, "partial", b""):
                    raise
                connection.close()
                status, headers, body = await asyncio.wait_for(connection.get(path), LIMIT)
            sound = status != 200 or body == self.expected[path]
            retry = int(headers.get("retry-after", 0)) > 0
            if connection.writer is not None:
                self.free.append(connection)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
            # An answer that was begun and cut off is a wrong one.
            sound = not (isinstance(error, asyncio.IncompleteReadError) and error.partial)
            connection.close()
        finally:
            self.open -= 1
        self.outcomes.append(Outcome(due, warm, status, time.monotonic() - due, sound, retry, path))

    def forget_connections(self):
        """After the server was started again."""
        for connection in self.free:
            connection.close()
        self.free.clear()
