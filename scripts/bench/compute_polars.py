"""The sums of cells by Polars, see computing.py: lazy queries, so that it plans them as a whole, on its two threads."""
import os

import computing

# Counts when Polars is loaded.
os.environ["POLARS_MAX_THREADS"] = str(computing.THREADS)

import polars
from polars import col, lit, when

PLACE = ["store_id", "d"]
ORDER = [*PLACE, "order_id"]
TOTAL = col("paid_price") * col("quantity")
CONSUMABLE = col("category1") == computing.CONSUMABLES


def orders(lines):
    """One row per order."""
    channel = when(col("channel") != "").then(col("channel"))
    return lines.group_by(ORDER).agg(
        channel.min().fill_null("").alias("ch"), (col("channel").min() != col("channel").max()).alias("mixed"),
        col("quantity").sum().alias("units"), TOTAL.sum().alias("rev"), col("gross_profit").sum().alias("gp"),
        col("platform_fee").sum().alias("psf"), col("rebate").sum().alias("reb"),
        when(col("list_price") > 0).then(col("list_price") * col("quantity")).otherwise(0).sum().alias("list_sales"),
        (col("list_price").max() > 0).alias("listed"),
        when(CONSUMABLE).then(0).otherwise(col("cost")).sum().alias("pc"),
        when(CONSUMABLE).then(col("cost")).otherwise(0).sum().alias("cc"),
        *(col(field).max() for field in computing.FIELDS), col("distance_m").max().alias("distance"))


def channels(orders):
    delivery, high, distance, kilometre = col("delivery_cost"), computing.HIGH, col("distance"), computing.KILOMETRE
    evaluated = orders.with_columns(
        (col("ch").is_in(computing.FEE_CHANNELS) & (col("psf") <= 0)).not_().alias("valid"),
        (col("gp") - col("psf") - delivery + col("reb")).alias("profit"),
        (delivery - (col("user_delivery_fee") - col("delivery_discount")) - col("reb")).alias("net"),
        polars.sum_horizontal(computing.MARKETING).alias("mk"), distance.fill_null(0))
    valid = col("valid")
    listed, loss = valid & col("listed"), valid & (col("profit") < 0) & (col("gp") != 0)
    far = valid & (col("net") > high)
    of = lambda condition, value: when(condition).then(value).otherwise(0).sum()
    within = lambda low, most: (far & (distance > low * kilometre) & (distance <= most * kilometre)).sum()
    return evaluated.group_by(*PLACE, "ch").agg(
        orders=valid.sum(), filtered=valid.not_().sum(), units=of(valid, col("units")), sales=of(valid, col("rev")),
        profit=of(valid, col("profit")),
        gmv=of(listed, col("list_sales") + col("packaging_fee") + col("user_delivery_fee")), marketing=of(listed, col("mk")),
        delivery=of(valid, delivery), net=of(valid, col("net")), psf=of(valid, col("psf")), reb=of(valid, col("reb")),
        pc=of(valid, col("pc")), cc=of(valid, col("cc")), losses=loss.sum(), loss=of(loss, -col("profit")), high=far.sum(),
        extra=of(far, col("net") - high), d3=within(0, 3), d5=within(3, 5), d8=within(5, 8),
        d9=(far & (distance > 8 * kilometre)).sum())


def products(lines, orders, every):
    """With the channel of every line's order, or only of those whose lines name several."""
    text = lambda name: when(col(name) != "").then(col(name))
    notice = (col("category1") == "") & (col("cost") == 0) & (col("paid_price") <= computing.NOTICE)
    lines = lines.filter((CONSUMABLE | notice).not_())
    if every:
        lines = lines.join(orders.select(*ORDER, "ch"), on=ORDER)
    else:
        lines = lines.join(orders.filter("mixed").select(*ORDER, "ch"), on=ORDER, how="left")
        lines = lines.with_columns(polars.coalesce("ch", "channel").alias("ch"))
    below = (col("quantity") > 0) & (col("paid_price") > 0) & (col("cost") > 0) & (TOTAL < col("cost"))
    packed = ((computing.DAY - 1 - col("ordered_at") % computing.DAY) * computing.STOCKS
              + col("stock").cast(polars.Int64).fill_null(computing.UNKNOWN))
    lines = lines.with_columns(below=below, packed=packed, total=TOTAL,
                               key=polars.coalesce(text("store_code"), text("barcode"), col("product_name")))
    below, cost, total = col("below"), col("cost"), col("total")
    return lines.group_by(*PLACE, "key", "ch").agg(
        quantity=col("quantity").sum(), sales=total.sum(), gp=col("gross_profit").sum(), cost=cost.sum(), below=below.sum(),
        severe=(below & (5 * total < 4 * cost)).sum(), below_loss=when(below).then(cost - total).otherwise(0).sum(),
        latest=col("ordered_at").max(), stock=col("packed").min() % computing.STOCKS,
        active=col("quantity").max() > 0, name=col("product_name").max_by("ordered_at"),
        category1=col("category1").max_by("ordered_at"))


class Engine:
    """Polars, its queries over the lines as a data frame in memory."""

    def __init__(self, lines):
        # Its own layout of texts and one type for what is multiplied: before the time is taken, as memory would have them.
        self.lines = polars.from_arrow(lines).with_columns(col("quantity").cast(polars.Int64))
        self.parts = {"orders": self.orders, "channels": self.channels,
                      "products, every order joined": lambda: self.products(True),
                      "products, mixed orders joined": lambda: self.products(False)}

    def given(self):
        return self.lines.lazy().with_columns((col("ordered_at") // lit(computing.DAY)).alias("d"))

    def orders(self):
        self.of_orders = orders(self.given()).collect()

    def channels(self):
        self.of_channels = channels(self.of_orders.lazy()).collect()

    def products(self, every):
        self.of_products = products(self.given(), self.of_orders.lazy(), every).collect()

    def sums(self):
        return {"channels": self.of_channels.to_arrow(), "products": self.of_products.to_arrow()}
