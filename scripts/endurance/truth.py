"""Whether both gateways say what the database holds."""
import collections
import http.client
import json
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

from servers import wait

# Documents that are kept ready follow a change of their stores up to seconds later.
CONVERGE = 60
Check = collections.namedtuple("Check", "time questions took wrong")


def questions(stage, asked, choice, count):
    """Questions of every kind, of one store, of some, and of all, over ranges of every length; half of them were asked before, and
    so may be kept ready."""
    first, last = stage.run("-c", "SELECT min(ordered_at)::date, max(ordered_at)::date FROM orders").split("|")
    days = stage.run("-c", f"SELECT generate_series('{first}'::date, '{last}', interval '1 day')::date").split("\n")
    found = ["/v1/stores", "/v1/metrics/overview", "/v1/metrics/stores", "/v1/diagnosis", "/v1/metrics/products?limit=200"]
    found += choice.sample(asked, min(len(asked), count // 2))
    while len(found) < count:
        some = ",".join(urllib.parse.quote(store) for store in sorted(choice.sample(stage.stores, choice.choice((1, 1, 2, 3)))))
        begin = choice.randrange(len(days))
        end = min(len(days) - 1, begin + choice.choice((0, 1, 6, 29)))
        of = f"stores={some}&from={days[begin]}&to={days[end]}"
        found.append(choice.choice([
            f"/v1/metrics/overview?{of}", f"/v1/metrics/trend?{of}", f"/v1/metrics/trend?{of}&granularity=week", f"/v1/metrics/channels?{of}",
            f"/v1/metrics/products?{of}&sort=sales&limit=100", f"/v1/metrics/products?{of}&sort=loss", f"/v1/diagnosis?{of}",
            f"/v1/diagnosis?stores={some}", f"/v1/metrics/overview?stores={some}", f"/v1/metrics/channels?stores={some}",
            f"/v1/metrics/stores?from={days[begin]}&to={days[end]}",
            f"/v1/stores/{some.split(',')[0]}/orders?from={days[begin]}&to={days[begin]}&limit=100",
        ]))
    return found


def ask(gateway, path, token):
    """What it says of the data, when they are of and their version included, or why it does not."""
    client = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=40)
    try:
        client.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = client.getresponse()
        body = answer.read()
        if answer.status != 200:
            return f"status {answer.status}: {body[:300].decode(errors='replace')}"
        return json.loads(body)
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        client.close()


def differences(stage, paths, expected):
    def one(path):
        told = [(gateway.name, ask(gateway, path, stage.token)) for gateway in (stage.a, stage.b)]
        return [(name, path, answer) for name, answer in told if answer != expected[path]]

    with ThreadPoolExecutor(4) as pool:
        return [found for each in pool.map(one, paths) for found in each]


def check(stage, changes, asked, choice, count):
    """While nothing changes, compares a sample of answers of both gateways with those of a third one that has nothing stored and
    computes each from the database."""
    begin = time.monotonic()
    changes.hold()
    try:
        stage.caught_up()
        paths = list(dict.fromkeys(questions(stage, asked, choice, count)))
        stage.fresh.start()
        try:
            wait(lambda: stage.fresh.runs() and stage.fresh.ready(), "the fresh gateway", 60)
            with ThreadPoolExecutor(4) as pool:
                expected = dict(zip(paths, pool.map(lambda path: ask(stage.fresh, path, stage.token), paths)))
        finally:
            stage.fresh.stop()
        for path, answer in expected.items():
            if isinstance(answer, str):
                raise SystemExit(f"error: the fresh gateway cannot answer {path}: {answer}; see {stage.fresh.log}")
        wrong, until = differences(stage, paths, expected), time.monotonic() + CONVERGE
        while wrong and time.monotonic() < until:
            time.sleep(0.5)
            wrong = differences(stage, list(dict.fromkeys(path for _, path, _ in wrong)), expected)
        told = [f"{name} {path}: {shorten(answer)}, not {shorten(expected[path])}" for name, path, answer in wrong]
        return Check(time.time(), 2 * len(paths), time.monotonic() - begin, told)
    finally:
        changes.go_on()


def shorten(answer):
    text = answer if isinstance(answer, str) else f"{json.dumps(answer['meta'])} {json.dumps(answer['data'], ensure_ascii=False)}"
    return text if len(text) <= 400 else f"{text[:400]}…"
