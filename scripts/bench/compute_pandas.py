"""The sums of cells by pandas, see computing.py: texts as Arrow's strings, channels as codes, what is added made beforehand
for all lines at once. pandas groups on one thread; what Arrow does for it uses two."""
import pandas
import pyarrow

import computing

PLACE = ["store_id", "d"]
ORDER = [*PLACE, "order_id"]


class Engine:
    """pandas, over a data frame in memory."""

    def __init__(self, lines):
        pyarrow.set_cpu_count(computing.THREADS)
        self.lines = lines.to_pandas()
        self.parts = {"orders": self.orders, "channels": self.channels,
                      "products, every order joined": lambda: self.products(True),
                      "products, mixed orders joined": lambda: self.products(False)}

    def orders(self):
        """One row per order."""
        lines = self.lines
        # In their order as texts, so that the smallest code is the smallest text; none is the last.
        self.names = [*sorted(name for name in lines["channel"].unique() if name), ""]
        self.codes = pandas.Categorical(lines["channel"], categories=self.names).codes
        self.days = lines["ordered_at"] // computing.DAY
        listed, consumable = lines["list_price"] > 0, lines["category1"] == computing.CONSUMABLES
        fields = {field: lines[field] for field in computing.FIELDS}
        sums = {"units": lines["quantity"].astype("int64"), "rev": lines["paid_price"] * lines["quantity"],
                "gp": lines["gross_profit"], "psf": lines["platform_fee"], "reb": lines["rebate"],
                "list_sales": (lines["list_price"] * lines["quantity"]).where(listed, 0),
                "pc": lines["cost"].where(~consumable, 0), "cc": lines["cost"].where(consumable, 0)}
        most = {"top": self.codes, "listed": listed, **fields, "distance": lines["distance_m"]}
        made = pandas.DataFrame({"store_id": lines["store_id"], "d": self.days, "order_id": lines["order_id"],
                                 "ch": self.codes, **sums, **most}, copy=False)
        groups = made.groupby(ORDER, sort=False)
        # In steps, which is faster than a function for each column.
        found = pandas.concat([groups["ch"].min(), groups[list(sums)].sum(), groups[list(most)].max()], axis=1)
        self.of_orders = found.reset_index()

    def channels(self):
        orders, high, kilometre = self.of_orders, computing.HIGH, computing.KILOMETRE
        fees = [code for code, name in enumerate(self.names) if name in computing.FEE_CHANNELS]
        valid = ~(orders["ch"].isin(fees) & (orders["psf"] <= 0))
        delivery, distance = orders["delivery_cost"], orders["distance"]
        profit = orders["gp"] - orders["psf"] - delivery + orders["reb"]
        net = delivery - (orders["user_delivery_fee"] - orders["delivery_discount"]) - orders["reb"]
        listed, loss, far = valid & orders["listed"], valid & (profit < 0) & (orders["gp"] != 0), valid & (net > high)
        within = lambda low, most: far & (distance > low * kilometre) & (distance <= most * kilometre)
        made = pandas.DataFrame({
            "store_id": orders["store_id"], "d": orders["d"], "ch": orders["ch"], "orders": valid, "filtered": ~valid,
            "units": orders["units"].where(valid, 0), "sales": orders["rev"].where(valid, 0), "profit": profit.where(valid, 0),
            "gmv": (orders["list_sales"] + orders["packaging_fee"] + orders["user_delivery_fee"]).where(listed, 0),
            "marketing": orders[computing.MARKETING].sum(axis=1).where(listed, 0), "delivery": delivery.where(valid, 0),
            "net": net.where(valid, 0), **{name: orders[name].where(valid, 0) for name in ("psf", "reb", "pc", "cc")},
            "losses": loss, "loss": (-profit).where(loss, 0), "high": far, "extra": (net - high).where(far, 0),
            "d3": within(0, 3), "d5": within(3, 5), "d8": within(5, 8), "d9": far & (distance > 8 * kilometre)}, copy=False)
        self.of_channels = self.named(made.groupby([*PLACE, "ch"], sort=False).sum())

    def products(self, every):
        """With the channel of every line's order, or only of those whose lines name several."""
        lines, orders = self.lines, self.of_orders
        notice = (lines["category1"] == "") & (lines["cost"] == 0) & (lines["paid_price"] <= computing.NOTICE)
        kept = ~((lines["category1"] == computing.CONSUMABLES) | notice)
        text = lambda name: lines[name].where(lines[name] != "")
        total, cost, time = lines["paid_price"] * lines["quantity"], lines["cost"], lines["ordered_at"]
        below = (lines["quantity"] > 0) & (lines["paid_price"] > 0) & (cost > 0) & (total < cost)
        stock = lines["stock"].fillna(computing.UNKNOWN).astype("int64")
        sums = {"quantity": lines["quantity"].astype("int64"), "sales": total, "gp": lines["gross_profit"], "cost": cost,
                "below": below, "severe": below & (5 * total < 4 * cost), "below_loss": (cost - total).where(below, 0)}
        made = pandas.DataFrame({
            "store_id": lines["store_id"], "d": self.days, "order_id": lines["order_id"], "own": self.codes,
            "key": text("store_code").fillna(text("barcode")).fillna(lines["product_name"]), **sums, "latest": time,
            "stock": (computing.DAY - 1 - time % computing.DAY) * computing.STOCKS + stock, "active": lines["quantity"] > 0,
            "name": lines["product_name"], "category1": lines["category1"]}, copy=False)[kept]
        if every:
            made = made.merge(orders[[*ORDER, "ch"]], on=ORDER)
        else:
            mixed = orders.loc[orders["ch"] != orders["top"], [*ORDER, "ch"]]
            made = made.merge(mixed, on=ORDER, how="left")
            made["ch"] = made["ch"].fillna(made["own"]).astype("int8")
        groups = made.groupby([*PLACE, "key", "ch"], sort=False)
        latest = groups["latest"].idxmax()
        found = pandas.concat([groups[list(sums)].sum(), groups[["latest", "active"]].max(), groups["stock"].min()], axis=1)
        found["stock"] %= computing.STOCKS
        for text in ("name", "category1"):
            found[text] = made[text].take(latest).array
        self.of_products = self.named(found)

    def named(self, found):
        """With the channels as texts."""
        found = found.reset_index()
        return found.assign(ch=pandas.Categorical.from_codes(found["ch"], categories=self.names).astype("str"))

    def sums(self):
        return {"channels": pyarrow.Table.from_pandas(self.of_channels), "products": pyarrow.Table.from_pandas(self.of_products)}
