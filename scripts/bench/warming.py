"""Warming 3,000,000 lines of PostgreSQL and copying them, each timed: for warm.py and peers.py."""
import json
import subprocess
import time

# Seconds that any of it may take at most.
LIMIT = 1800
# The columns that cells are made from: what `warmer once` reads of stores without order lines.
COLUMNS = ("order_id, store_id, ordered_at, channel, store_code, barcode, product_name, category1, quantity, list_price, "
           "paid_price, cost, gross_profit, platform_fee, rebate, delivery_cost, user_delivery_fee, delivery_discount, "
           "packaging_fee, full_reduction, product_discount, voucher, voucher_share, gift, other_discount, "
           "new_customer_discount, distance_m, stock")


def imported(warmer, orders, psql, environment):
    """Puts an order file into PostgreSQL; how many lines there are."""
    print("importing …", flush=True)
    subprocess.run([warmer, "import", orders, "--into", "postgres", "--mapping", "canonical"], check=True,
                   env=environment, stdout=subprocess.DEVNULL, timeout=LIMIT)
    subprocess.run([*psql, "-c", "VACUUM ANALYZE orders"], check=True, timeout=LIMIT)
    return int(subprocess.run([*psql, "-c", "SELECT count(*) FROM orders"], check=True, capture_output=True, text=True,
                              timeout=LIMIT).stdout)


def copied(psql):
    """Seconds of a binary COPY of the cells' columns on one connection."""
    start = time.perf_counter()
    with open("/dev/null", "wb") as nothing:
        subprocess.run([*psql, "-c", f"COPY (SELECT {COLUMNS} FROM orders) TO STDOUT (FORMAT binary)"], check=True,
                       stdout=nothing, timeout=LIMIT)
    return time.perf_counter() - start


def warmed(warmer, environment, redis_cli):
    """Seconds of `warmer once` into an empty Redis, and its report."""
    subprocess.run([*redis_cli, "flushall"], check=True, capture_output=True, timeout=LIMIT)
    start = time.perf_counter()
    done = subprocess.run([warmer, "once", "--output", "json"], check=True, env=environment, capture_output=True, text=True,
                          timeout=LIMIT)
    return time.perf_counter() - start, json.loads(done.stdout.splitlines()[-1])
