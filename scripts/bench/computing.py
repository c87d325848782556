"""What all who make the sums of cells have in common: the lines as they get them, rounds, and the comparison of sums.

All start from the same Arrow columns in memory: text ids as plain strings, times and money as 64-bit integers
(micro-units); 2 threads each. `computing.py ENGINE FILE ROUNDS FOLDER` measures one of ENGINES in a process of its own, as
the Rust bench is one: it prints seconds as a JSON line, and leaves the sums in `FOLDER/channels.parquet` and
`products.parquet`.

Exchange (`--sums-out` of the Rust bench): `channels.csv` with store_id, day, channel, orders, filtered_orders, units, sales, profit, gmv,
marketing_cost, delivery_cost, net_delivery_cost, platform_fee, rebate, product_cost, consumable_cost, loss_orders,
loss_amount, high_delivery_orders, high_delivery_extra, four distance counts; `products.csv` with store_id, day, key,
channel, quantity, sales, gross_profit, cost, below-cost lines, severe lines, below-cost loss, latest time, stock then
(empty if unknown), active, name, category1. Amounts in micro-units, times in microseconds.
"""
import importlib
import json
import statistics
import subprocess
import sys
import time

import numpy
import pyarrow
import pyarrow.parquet

ENGINES = {"DuckDB": "compute_duckdb", "Polars": "compute_polars", "pandas": "compute_pandas"}
THREADS = 2
FEE_CHANNELS = ["饿了么", "京东到家", "美团共橙", "美团闪购", "抖音", "抖音直播", "淘鲜达", "京东秒送", "美团咖啡店", "饿了么咖啡店"]
CONSUMABLES = "耗材"
MARKETING = ["full_reduction", "product_discount", "voucher", "voucher_share", "gift", "other_discount",
             "new_customer_discount"]
# Of an order, on each of its lines.
FIELDS = ["delivery_cost", "user_delivery_fee", "delivery_discount", "packaging_fee", *MARKETING]
DAY = 86_400_000_000
# In micro-units and micrometres.
HIGH, NOTICE, KILOMETRE = 6_000_000, 10_000, 1_000_000_000
# A time and a stock in one number, whose minimum is the stock of the latest line, the smallest known one of a tie.
STOCKS = 1 << 26
UNKNOWN = STOCKS - 1
# The sums by their names in all engines, after the columns that tell a row.
CHANNEL_SUMS = ("orders filtered units sales profit gmv marketing delivery net psf reb pc cc losses loss high extra "
                "d3 d5 d8 d9").split()
PRODUCT_SUMS = "quantity sales gp cost below severe below_loss latest stock active name category1".split()
# What begins with it is one way to the products' sums; the fastest one counts.
PRODUCTS = "products"


def column(array):
    """A column as all get it: decimals are 64-bit micro-units, times 64-bit microseconds."""
    if pyarrow.types.is_decimal(array.type):
        words = numpy.frombuffer(array.buffers()[1], dtype=numpy.int64)[::2]
        words = words[array.offset:array.offset + len(array)].copy()
        mask = None if array.null_count == 0 else array.is_null().to_numpy(zero_copy_only=False)
        return pyarrow.array(words, mask=mask)
    return array.cast(pyarrow.int64()) if pyarrow.types.is_timestamp(array.type) else array


def load(path):
    """The lines in the batches that the file is read in: one big batch would keep DuckDB from using both threads."""
    batches = pyarrow.parquet.read_table(path).to_batches()
    return pyarrow.Table.from_batches(
        [pyarrow.RecordBatch.from_arrays([column(array) for array in batch.columns], names=batch.schema.names)
         for batch in batches])


def rust(command, path, rounds, sums=None):
    arguments = [*command, path, "--rounds", str(rounds)] + (["--sums-out", sums] if sums else [])
    return json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=1800).stdout.splitlines()[-1])


def measure(engine, rounds):
    """Seconds of each part in each round, after one that warms up."""
    parts = {name: [] for name in engine.parts}
    for number in range(rounds + 1):
        for name, work in engine.parts.items():
            start = time.perf_counter()
            work()
            if number:
                parts[name].append(time.perf_counter() - start)
    return parts


def fastest(parts):
    """Of the ways to the products' sums, the one that counts."""
    return min((name for name in parts if name.startswith(PRODUCTS)), key=lambda name: statistics.median(parts[name]))


def totals(parts):
    """Seconds of each round with the fastest way."""
    counted = [name for name in parts if not name.startswith(PRODUCTS)] + [fastest(parts)]
    return [sum(times) for times in zip(*(parts[name] for name in counted))]


def compare(connection, ours, theirs, kind):
    """Rows that differ between the exchanged CSV and what a query of DuckDB gives, with the names of the sums."""
    day = "(date '1970-01-01' + d::INTEGER)::VARCHAR"
    if kind == "channels":
        names = f"store_id, {day}, ch, " + ", ".join(f"{name}::VARCHAR" for name in CHANNEL_SUMS)
        count = 3 + len(CHANNEL_SUMS)
    else:
        text = {name: f"{name}::VARCHAR" for name in PRODUCT_SUMS}
        text |= {"stock": f"CASE WHEN stock = {UNKNOWN} THEN '' ELSE stock::VARCHAR END", "active": "active::INTEGER::VARCHAR"}
        names = f"store_id, {day}, key, ch, " + ", ".join(text.values())
        count = 4 + len(PRODUCT_SUMS)
    theirs = f"SELECT {names} FROM ({theirs})"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE ours AS SELECT * FROM read_csv('{ours}', header=false, "
                       f"all_varchar=true, nullstr='\\0')")
    ours = f"SELECT {', '.join(f'column{at:02d}' for at in range(count))} FROM ours"
    return sum(connection.execute(f"SELECT count(*) FROM (({one}) EXCEPT ALL ({other}))").fetchone()[0]
               for one, other in ((ours, theirs), (theirs, ours)))


def main():
    name, path, rounds, folder = sys.argv[1:5]
    engine = importlib.import_module(ENGINES[name]).Engine(load(path))
    parts = measure(engine, int(rounds))
    way = fastest(parts)
    engine.parts[way]()
    for kind, table in engine.sums().items():
        pyarrow.parquet.write_table(table, f"{folder}/{kind}.parquet")
    print(json.dumps({"parts": parts, "seconds": totals(parts), "way": way}))


if __name__ == "__main__":
    main()
