"""What befalls the service, one after the other, and which failures each of them excuses."""
import contextlib
import signal
import socket
import struct
import subprocess
import time

# Seconds that a server is away.
AWAY = 3
# Waited after everything says that it is ready: a question that came before may have met the fault.
GRACE = 1.0


class Trouble:
    """When it began, when everything was ready again, and whom it excuses. Times are those of the clock, as in the logs."""

    def __init__(self, name, chance):
        self.name, self.does, self.away, self.excuses, self.early = name, *TROUBLES[name]
        self.seconds = AWAY * chance.uniform(0.5, 2)
        self.begin = self.gone = self.end = None

    def happen(self, stage):
        self.begin = time.time()
        self.does(stage, self.seconds)
        self.gone = time.time()
        stage.recovered(self.name)
        self.end = time.time() + GRACE

    def covers(self, begin, end):
        return begin <= self.end and end >= self.begin


def excused(failure, troubles):
    """Whether an answer with a 5xx came while nobody could have answered it."""
    return any(trouble.covers(failure["begin"], failure["end"]) and failure["status"] == 503 and trouble.excuses(failure)
               for trouble in troubles)


def unreachable(failure, troubles):
    """Whether a gateway that did not answer at all was stopped then."""
    return any(trouble.covers(failure["begin"], failure["end"]) and failure["gateway"] in trouble.away for trouble in troubles)


def kill_b(stage, seconds):
    stage.b.stop(signal.SIGKILL)
    time.sleep(seconds / 3)
    stage.b.start()


def stop_b(stage, seconds):
    code = stage.b.stop()
    if code != 0:
        raise SystemExit(f"error: {stage.b.name} ended with {code} after SIGTERM, not with 0; see {stage.b.log}")
    time.sleep(seconds / 3)
    stage.b.start()


def kill_warmer(stage, seconds):
    stage.warmer.stop(signal.SIGKILL)
    time.sleep(seconds)
    stage.warmer.start()


def stop_warmer(stage, seconds):
    code = stage.warmer.stop()
    if code != 0:
        raise SystemExit(f"error: the warmer ended with {code} after SIGTERM, not with 0; see {stage.warmer.log}")
    time.sleep(seconds)
    stage.warmer.start()


def reload_all(stage, _):
    for program in stage.programs:
        program.send(signal.SIGHUP)
    time.sleep(1)


def kill_redis(stage, seconds):
    stage.redis.kill()
    time.sleep(seconds)
    stage.redis.start()


def stop_redis(stage, seconds):
    stage.redis.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds * 2)
    stage.redis.process.send_signal(signal.SIGCONT)


def empty_redis(stage, _):
    stage.redis.command("FLUSHALL")


def fill_redis(stage, seconds):
    stage.redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1mb")
    time.sleep(seconds)
    stage.redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory", "512mb")


def cut_redis(stage, _):
    for _ in range(3):
        stage.redis.command("CLIENT", "KILL", "TYPE", "normal")
        time.sleep(0.3)


def kill_postgres(stage, seconds):
    stage.postgres.kill()
    time.sleep(seconds)
    stage.postgres.start()


def stop_postgres(stage, seconds):
    stage.postgres.signal(signal.SIGSTOP)
    time.sleep(seconds * 2)
    stage.postgres.signal(signal.SIGCONT)


def cut_postgres(stage, _):
    for _ in range(3):
        subprocess.run([*stage.postgres.psql, "-c", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' "
                        "AND pid <> pg_backend_pid()"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30)
        time.sleep(0.3)


def kill_both(stage, seconds):
    stage.redis.kill()
    stage.postgres.kill()
    time.sleep(seconds)
    stage.redis.start()
    stage.postgres.start()


def rude_clients(stage, seconds):
    """Clients that send half a question, or ask and go away without reading, by reset."""
    whole = b"GET /v1/diagnosis HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + stage.token.encode() + b"\r\n\r\n"
    for gateway in (stage.a, stage.b):
        streams = []
        for number in range(60):
            with contextlib.suppress(OSError):
                stream = socket.create_connection(("127.0.0.1", gateway.port), 5)
                stream.sendall(whole[:20] if number % 3 == 0 else whole)
                streams.append(stream)
        time.sleep(seconds / 6)
        for stream in streams:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.close()


def nobody(_):
    """Not a single 5xx: one of the two servers has all that is needed, and the load is one that the other one can take over."""
    return False


def lines_only(failure):
    """Without PostgreSQL, only raw lines of stores that are not among the hot ones cannot be answered: all else is in Redis, which
    is warm when this begins."""
    return failure["kind"] == "orders"


def everything(_):
    """Redis and PostgreSQL are both away: what is not near can be answered by nobody, on both gateways."""
    return True


def refreshes(failure):
    """A gateway that stops tells whoever wishes for fresh figures that it could not write the wish down."""
    return failure["gateway"] == "gateway-b" and failure["kind"].endswith("/refresh")


B = ("gateway-b",)
# What it does, whose clients find nobody, which 5xx it excuses, and whether it comes in the first third only: what a process takes
# is judged from its last start on. Gateway A is never stopped.
TROUBLES = {
    "gateway_killed": (kill_b, B, nobody, False),
    "gateway_stopped": (stop_b, B, refreshes, False),
    "warmer_killed": (kill_warmer, (), nobody, True),
    "warmer_stopped": (stop_warmer, (), nobody, True),
    "settings_reloaded": (reload_all, (), nobody, False),
    "redis_killed": (kill_redis, (), nobody, False),
    "redis_paused": (stop_redis, (), nobody, False),
    "redis_emptied": (empty_redis, (), nobody, False),
    "redis_full": (fill_redis, (), nobody, False),
    "redis_clients_cut": (cut_redis, (), nobody, False),
    "postgres_killed": (kill_postgres, (), lines_only, False),
    "postgres_paused": (stop_postgres, (), lines_only, False),
    "postgres_clients_cut": (cut_postgres, (), lines_only, False),
    "both_killed": (kill_both, (), everything, False),
    "clients_break_off": (rude_clients, (), nobody, False),
}


class Rotations:
    """What logrotate does: the gateways' logs are renamed, and old ones removed. Nobody is told."""

    KEEP = 3

    def __init__(self, stage):
        self.gateways, self.count = (stage.a, stage.b), 0

    def rotate(self):
        for gateway in self.gateways:
            with contextlib.suppress(FileNotFoundError):
                self.count += 1
                gateway.access_log.rename(f"{gateway.access_log}-{int(time.time())}-{self.count:06}")
            dated = sorted(gateway.access_log.parent.glob("access.log-*"))
            for path in dated[:-self.KEEP]:
                path.unlink()
