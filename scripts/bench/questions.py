"""Questions of a chain's managers, and the access log that they leave."""
import datetime
import itertools
import json
import random
import urllib.parse

LAST_DAY = datetime.date(2026, 3, 7)
KINDS = {"overview": "/v1/metrics/overview", "trend": "/v1/metrics/trend", "channels": "/v1/metrics/channels"}


def different(count, stores, seed):
    """So many different questions as paths: one to three stores, a week to a month that ends within the last five days."""
    choice, found = random.Random(seed), {}
    while len(found) < count:
        kind = choice.choice(list(KINDS))
        of = sorted(choice.sample(stores, choice.choice((1, 1, 2, 3))))
        end = LAST_DAY - datetime.timedelta(days=choice.randrange(5))
        start = end - datetime.timedelta(days=choice.choice((0, 6, 13, 20)))
        query = f"stores={urllib.parse.quote(','.join(of))}&from={start}&to={end}"
        found[f"{KINDS[kind]}?{query}"] = kind
    return list(found)


def composed(stores, seed, parts):
    """Overviews of three stores, a month and the month before: all that there are, each once, shuffled and dealt out."""
    start = LAST_DAY - datetime.timedelta(days=29)
    every = [f"/v1/metrics/overview?stores={','.join(three)}&from={start}&to={LAST_DAY}"
             for three in itertools.combinations(stores, 3)]
    random.Random(seed).shuffle(every)
    return [every[part::parts] for part in range(parts)]


def zipf(paths, count, seed):
    """So many requests, each path as often as 1 ÷ its rank."""
    choice, total, weights = random.Random(seed), 0.0, []
    for rank in range(len(paths)):
        total += 1 / (rank + 1)
        weights.append(total)
    return choice.choices(range(len(paths)), cum_weights=weights, k=count)


def log_lines(paths, now_ms):
    """Each asked twice within the last minute, the first one last: the order of the ranks is that of the heat."""
    for again in range(2):
        for number, path in enumerate(reversed(paths)):
            at, _, query = path.partition("?")
            time = now_ms - 60_000 + (again * len(paths) + number) * 60_000 // (2 * len(paths))
            yield json.dumps({"v": 1, "type": "request", "time": time, "path": at, "query": query,
                              "last_day": str(LAST_DAY), "status": 200, "outcome": "source"}, separators=(",", ":"))
