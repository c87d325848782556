"""How soon a change that the warmer writes shows on gateways that keep answers near."""
import http.client
import json
import re
import socket
import threading
import time

LIMIT = 10


class Writes:
    """When Redis last counted up the version of a store, by its own clock, as MONITOR tells."""

    def __init__(self, port, store):
        self.at, self.told, self.stream = [], threading.Event(), socket.create_connection(("127.0.0.1", port), 10)
        self.stream.settimeout(None)
        self.stream.sendall(b"MONITOR\r\n")
        self.line = re.compile(rf'^\+?(\d+\.\d+) \[[^]]*\] "INCR" "hs:1:version:\{{{store}\}}"', re.I)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.stream.makefile(encoding="utf-8", errors="replace"):
            if found := self.line.match(line):
                self.at.append(float(found[1]))
                self.told.set()


class Watcher:
    """Asks one gateway over one connection, over and over, and notes when the version of the data is another."""

    def __init__(self, port, path, token):
        self.client, self.path = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT), path
        self.headers = {"Authorization": f"Bearer {token}"}
        self.version, self.changed, self.outcome = None, threading.Event(), ""
        self.at = 0.0
        self.ended, self.thread = False, threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def end(self):
        self.ended = True
        self.thread.join()

    def watch(self):
        while not self.ended:
            self.client.request("GET", self.path, headers=self.headers)
            response = self.client.getresponse()
            version, at = json.load(response)["meta"]["data_version"], time.time()
            if version == self.version:
                self.outcome = response.headers["X-Cache"]
            else:
                first, self.version, self.at = self.version is None, version, at
                if not first:
                    self.changed.set()
            time.sleep(0.0005)


def shown(redis_port, ports, store, token, change, times):
    """Milliseconds from the write to the first new answer of the slowest gateway, for each of some changes; and where their
    answers came from right before."""
    writes = Writes(redis_port, store)
    watchers = [Watcher(port, f"/v1/metrics/overview?stores={store}", token) for port in ports]
    found, outcomes = [], set()
    for number in range(times):
        # Meanwhile answers come near again.
        time.sleep(0.5)
        outcomes |= {watcher.outcome for watcher in watchers}
        events = [writes.told, *(watcher.changed for watcher in watchers)]
        for event in events:
            event.clear()
        written = len(writes.at)
        change()
        if not all([event.wait(LIMIT) for event in events]):
            raise SystemExit(f"error: change {number} was not seen everywhere within {LIMIT} s")
        found.append((max(watcher.at for watcher in watchers) - writes.at[written]) * 1e3)
    for watcher in watchers:
        watcher.end()
    return found, outcomes
