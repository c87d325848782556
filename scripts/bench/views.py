"""The materialized views that a user of PostgreSQL would make for the sums of cells: of orders, then from these of store, day
and channel, and of store, day, product and channel.

The names of products and categories are the largest texts, where cells have those of the latest line, which PostgreSQL 15
has no quick aggregate for; in the sample data they are the same.
"""
import subprocess
import threading
import time

from computing import CHANNEL_SUMS, DAY, FEE_CHANNELS, FIELDS, MARKETING, CONSUMABLES, PRODUCT_SUMS, STOCKS, UNKNOWN
from warming import LIMIT

# Both cores, memory for what is grouped and joined, no time for machine code.
SETTINGS = {"max_parallel_workers_per_gather": "2", "work_mem": "'1GB'", "hash_mem_multiplier": "2", "jit": "off"}
FEES = ", ".join(f"'{channel}'" for channel in FEE_CHANNELS)
ORDERS = f"""
CREATE MATERIALIZED VIEW order_sums AS
SELECT store_id, ordered_at::date AS day, order_id, coalesce(min(channel) FILTER (WHERE channel <> ''), '') AS ch,
       min(channel) <> max(channel) AS mixed,
       sum(quantity) AS units, sum(paid_price * quantity) AS rev, sum(gross_profit) AS gp, sum(platform_fee) AS psf,
       sum(rebate) AS reb, coalesce(sum(list_price * quantity) FILTER (WHERE list_price > 0), 0) AS list_sales,
       bool_or(list_price > 0) AS listed, coalesce(sum(cost) FILTER (WHERE category1 <> '{CONSUMABLES}'), 0) AS pc,
       coalesce(sum(cost) FILTER (WHERE category1 = '{CONSUMABLES}'), 0) AS cc,
       {", ".join(f"max({field}) AS {field}" for field in FIELDS)}, max(distance_m) AS distance
FROM orders GROUP BY 1, 2, 3
WITH NO DATA
"""
CHANNELS = f"""
CREATE MATERIALIZED VIEW channel_days AS
WITH e AS (
  SELECT *, NOT (ch IN ({FEES}) AND psf <= 0) AS valid, gp - psf - delivery_cost + reb AS profit,
         delivery_cost - (user_delivery_fee - delivery_discount) - reb AS net, {" + ".join(MARKETING)} AS mk
  FROM order_sums)
SELECT store_id, day, ch, count(*) FILTER (WHERE valid) AS orders, count(*) FILTER (WHERE NOT valid) AS filtered,
       coalesce(sum(units) FILTER (WHERE valid), 0) AS units, coalesce(sum(rev) FILTER (WHERE valid), 0) AS sales,
       coalesce(sum(profit) FILTER (WHERE valid), 0) AS profit,
       coalesce(sum(list_sales + packaging_fee + user_delivery_fee) FILTER (WHERE valid AND listed), 0) AS gmv,
       coalesce(sum(mk) FILTER (WHERE valid AND listed), 0) AS marketing,
       {", ".join(f"coalesce(sum({of}) FILTER (WHERE valid), 0) AS {name}"
                  for of, name in (("delivery_cost", "delivery"), *((name, name) for name in ("net", "psf", "reb", "pc", "cc"))))},
       count(*) FILTER (WHERE valid AND profit < 0 AND gp <> 0) AS losses,
       coalesce(sum(-profit) FILTER (WHERE valid AND profit < 0 AND gp <> 0), 0) AS loss,
       count(*) FILTER (WHERE valid AND net > 6) AS high,
       coalesce(sum(net - 6) FILTER (WHERE valid AND net > 6), 0) AS extra,
       count(*) FILTER (WHERE valid AND net > 6 AND distance > 0 AND distance <= 3000) AS d3,
       count(*) FILTER (WHERE valid AND net > 6 AND distance > 3000 AND distance <= 5000) AS d5,
       count(*) FILTER (WHERE valid AND net > 6 AND distance > 5000 AND distance <= 8000) AS d8,
       count(*) FILTER (WHERE valid AND net > 6 AND distance > 8000) AS d9
FROM e GROUP BY 1, 2, 3
WITH NO DATA
"""
BELOW = "quantity > 0 AND paid_price > 0 AND cost > 0 AND paid_price * quantity < cost"
MICROSECONDS = "(date_part('epoch', ordered_at) * 1000000)::bigint"
# As for DuckDB: only orders whose lines name several channels are joined, and the stock of the latest line is a part of one
# minimum.
PRODUCTS = f"""
CREATE MATERIALIZED VIEW product_days AS
SELECT l.store_id, l.ordered_at::date AS day,
       coalesce(nullif(store_code, ''), nullif(barcode, ''), product_name) AS key, coalesce(m.ch, l.channel) AS ch,
       sum(quantity) AS quantity, sum(paid_price * quantity) AS sales, sum(gross_profit) AS gp, sum(cost) AS cost,
       count(*) FILTER (WHERE {BELOW}) AS below, count(*) FILTER (WHERE {BELOW} AND 5 * paid_price * quantity < 4 * cost) AS severe,
       coalesce(sum(cost - paid_price * quantity) FILTER (WHERE {BELOW}), 0) AS below_loss, max(ordered_at) AS latest,
       min(({DAY - 1} - {MICROSECONDS} % {DAY}) * {STOCKS} + coalesce(stock, {UNKNOWN})) % {STOCKS} AS stock,
       bool_or(quantity > 0) AS active, max(product_name) AS name, max(category1) AS category1
FROM orders l LEFT JOIN order_sums m ON m.mixed AND m.store_id = l.store_id AND m.day = l.ordered_at::date AND m.order_id = l.order_id
WHERE category1 <> '{CONSUMABLES}' AND NOT (category1 = '' AND cost = 0 AND paid_price <= 0.01)
GROUP BY 1, 2, 3, 4
WITH NO DATA
"""
VIEWS = {"channels": "channel_days", "products": "product_days"}
MONEY = {"channels": "sales profit gmv marketing delivery net psf reb pc cc loss extra".split(),
         "products": "sales gp cost below_loss".split()}


def make(psql):
    """Makes the views, empty."""
    for statement in (ORDERS, CHANNELS, PRODUCTS):
        subprocess.run([*psql, "-c", statement], check=True, timeout=LIMIT)


def refreshed(psql):
    """Seconds until all are refreshed, the last two at the same time on a connection each, and of each."""
    settings = "".join(f"SET {name} = {value}; " for name, value in SETTINGS.items())
    seconds = {}

    def one(view):
        start = time.perf_counter()
        done = subprocess.run([*psql, "-c", f"{settings}REFRESH MATERIALIZED VIEW {view}"], timeout=LIMIT)
        if done.returncode == 0:
            seconds[view] = time.perf_counter() - start

    start = time.perf_counter()
    one("order_sums")
    threads = [threading.Thread(target=one, args=[view]) for view in VIEWS.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = time.perf_counter() - start
    if missing := {"order_sums", *VIEWS.values()} - set(seconds):
        raise SystemExit(f"error: {' and '.join(sorted(missing))} not refreshed; PostgreSQL says above why")
    # As autovacuum would: the planner of the next refresh should know how much there is.
    subprocess.run([*psql, "-c", "ANALYZE order_sums"], check=True, timeout=LIMIT)
    return total, seconds


def export(psql, kind, path):
    """What a view holds, in the units of the exchange of computing.py."""
    own = {name: f"({name} * 1000000)::bigint" for name in MONEY[kind]}
    own["latest"] = "(date_part('epoch', latest) * 1000000)::bigint"
    own["active"] = "active::integer"
    names = ["store_id", "day - date '1970-01-01' AS d", *(["key"] if kind == "products" else []), "ch"]
    sums = CHANNEL_SUMS if kind == "channels" else PRODUCT_SUMS
    names += [f"{own[name]} AS {name}" if name in own else name for name in sums]
    with open(path, "wb") as file:
        subprocess.run([*psql, "-c", f"COPY (SELECT {', '.join(names)} FROM {VIEWS[kind]}) TO STDOUT (FORMAT csv, HEADER)"],
                       check=True, stdout=file, timeout=LIMIT)
