"""Order lines of invented stores, made by the database itself."""


def rows(stores, days, lines):
    """A statement that inserts so many lines a day, from 2026-03-01 on, into each store."""
    return f"""
INSERT INTO orders (order_id, store_id, store_name, ordered_at, channel, product_name, barcode, category1, quantity, list_price,
                    paid_price, cost, gross_profit, stock)
SELECT 'o' || n, 's' || s, 'Store ' || s, timestamp '2026-03-01 08:00' + d * interval '1 day' + n * interval '7 minutes',
       CASE n % 3 WHEN 0 THEN '自营' ELSE '' END, 'p' || n % 17, 'b' || n % 17, 'c' || n % 3, 1 + n % 3, 10, 8 + n % 2, 5, 3, n
FROM generate_series(1, {stores}) s, generate_series(0, {days - 1}) d, generate_series(1, {lines}) n
"""
