"""Changes of order lines while the soak runs."""
import random
import subprocess
import threading


class Changes(threading.Thread):
    """Commits changes until told to end, but while they are held. No store loses the last line of a day, so the last day of no
    selection goes back: answers whose `as_of` does are wrong."""

    def __init__(self, stage, rate, new_day_every, seed):
        super().__init__(daemon=True)
        self.stage, self.rate, self.new_day_every = stage, rate, new_day_every
        self.choice, self.done, self.free = random.Random(seed), threading.Event(), threading.Event()
        self.idle, self.committed, self.failed, self.new_days = threading.Lock(), 0, 0, 0
        self.first, self.last = stage.run("-c", "SELECT min(ordered_at)::date, max(ordered_at)::date FROM orders").split("|")
        self.days = stage.run("-c", f"SELECT generate_series('{self.first}'::date, '{self.last}', interval '1 day')::date").split("\n")
        self.columns = stage.run("-c", "SELECT string_agg(column_name, ', ') FROM information_schema.columns WHERE table_name = 'orders' "
                                       "AND column_name NOT IN ('order_id', 'ordered_at', 'updated_at', 'quantity')")
        self.free.set()

    def run(self):
        until_new_day = self.new_day_every
        while not self.done.is_set():
            pause = self.choice.expovariate(self.rate)
            until_new_day -= pause
            self.done.wait(pause)
            self.free.wait()
            with self.idle:
                if self.done.is_set():
                    return
                if until_new_day <= 0:
                    until_new_day = self.new_day_every
                    self.commit(self.new_day())
                else:
                    self.commit(self.change())

    def commit(self, statement):
        command = [*self.stage.postgres.psql, "-c", statement]
        try:
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30).returncode == 0
        except subprocess.TimeoutExpired:
            done = False
        # While PostgreSQL is away nothing is changed; whether a commit that broke off came in time does not count.
        self.committed += done
        self.failed += not done

    def copies(self, where, forward, name):
        """A statement that inserts lines like those that are there."""
        return (f"INSERT INTO orders (order_id, ordered_at, quantity, {self.columns}) SELECT order_id || '{name}', "
                f"ordered_at + interval '{forward} day', 1 + quantity % 5, {self.columns} FROM orders WHERE {where}")

    def new_day(self):
        """Lines of the day after the last, with which all default ranges move."""
        self.new_days += 1
        statement = "BEGIN; " + self.copies("ordered_at >= (SELECT max(ordered_at)::date FROM orders)", 1, f"-{self.new_days}") + "; COMMIT"
        self.days = [*self.days, self.later_day(len(self.days))]
        return statement

    def later_day(self, number):
        return f"'{self.first}'::date + {number}"

    def change(self):
        """A random statement that touches one store-day, or one day of all stores."""
        store, day = self.choice.choice(self.stage.stores), self.choice.choice(self.days)
        day = day if day.startswith("'") else f"'{day}'::date"
        of = f"store_id = '{store}' AND ordered_at >= {day} AND ordered_at < {day} + 1"
        some = f"(SELECT ctid, tableoid FROM orders WHERE {of} ORDER BY order_id, product_name OFFSET {self.choice.randrange(3)} LIMIT 1)"
        where = f"(ctid, tableoid) IN {some}"
        return self.choice.choices([
            f"UPDATE orders SET quantity = 1 + quantity % 7, updated_at = now() WHERE {where}",
            f"UPDATE orders SET paid_price = paid_price + 0.5, cost = cost + 0.25 WHERE {where}",
            f"UPDATE orders SET paid_price = {self.choice.randrange(1, 30)} WHERE {of}",
            self.copies(where, 0, f"-{self.choice.randrange(10 ** 9)}"),
            f"DELETE FROM orders WHERE {where} AND (SELECT count(*) FROM orders WHERE {of}) > 3",
            f"UPDATE orders SET cost = cost + 0.01 WHERE ordered_at >= {day} AND ordered_at < {day} + 1",
        ], weights=[40, 20, 10, 12, 14, 2])[0]

    def hold(self):
        """Returns when none is under way; none begins until `go_on`."""
        self.free.clear()
        with self.idle:
            pass

    def go_on(self):
        self.free.set()

    def end(self):
        self.done.set()
        self.free.set()
        self.join(60)
