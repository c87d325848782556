-- Hotshelf: the table of order lines, its partitions, indexes and roles. Safe to run again.
--   psql -d hotshelf -f config/schema.sql
-- `warmer import --into postgres` runs it by itself when the table is missing.

-- Money is numeric: exact, and what people expect who look at the table themselves. Scale 6 holds micro-units,
-- precision 19 their 64 bits. Ids compare byte by byte (COLLATE "C"), which is fast and the same on every server.
-- Empty text stands for absent where the column is NOT NULL. Texts have no blanks around them.
CREATE TABLE IF NOT EXISTS orders (
    order_id              text COLLATE "C" NOT NULL CHECK (order_id <> ''),
    store_id              text COLLATE "C" NOT NULL CHECK (store_id <> ''),
    store_name            text,
    city                  text,
    ordered_at            timestamp     NOT NULL,           -- store-local wall-clock time
    channel               text          NOT NULL DEFAULT '',
    store_code            text,
    barcode               text,
    product_name          text          NOT NULL DEFAULT '',
    category1             text          NOT NULL DEFAULT '',
    category3             text          NOT NULL DEFAULT '',
    quantity              integer       NOT NULL DEFAULT 1,
    list_price            numeric(19,6) NOT NULL DEFAULT 0,
    shelf_price           numeric(19,6) NOT NULL DEFAULT 0,
    paid_price            numeric(19,6) NOT NULL DEFAULT 0,
    cost                  numeric(19,6) NOT NULL DEFAULT 0, -- line total
    gross_profit          numeric(19,6) NOT NULL DEFAULT 0, -- line total
    platform_fee          numeric(19,6) NOT NULL DEFAULT 0,
    rebate                numeric(19,6) NOT NULL DEFAULT 0,
    expected_income       numeric(19,6) NOT NULL DEFAULT 0,
    commission            numeric(19,6) NOT NULL DEFAULT 0,
    delivery_cost         numeric(19,6) NOT NULL DEFAULT 0,
    user_delivery_fee     numeric(19,6) NOT NULL DEFAULT 0,
    delivery_discount     numeric(19,6) NOT NULL DEFAULT 0,
    packaging_fee         numeric(19,6) NOT NULL DEFAULT 0,
    full_reduction        numeric(19,6) NOT NULL DEFAULT 0,
    product_discount      numeric(19,6) NOT NULL DEFAULT 0,
    voucher               numeric(19,6) NOT NULL DEFAULT 0,
    voucher_share         numeric(19,6) NOT NULL DEFAULT 0,
    gift                  numeric(19,6) NOT NULL DEFAULT 0,
    other_discount        numeric(19,6) NOT NULL DEFAULT 0,
    new_customer_discount numeric(19,6) NOT NULL DEFAULT 0,
    distance_m            numeric(19,6),
    stock                 integer,
    updated_at            timestamptz   NOT NULL DEFAULT now()
) PARTITION BY RANGE (ordered_at);

-- What no monthly partition takes.
CREATE TABLE IF NOT EXISTS orders_default PARTITION OF orders DEFAULT;

-- Every read names stores and a range of days.
CREATE INDEX IF NOT EXISTS orders_store_time ON orders (store_id, ordered_at);

-- Makes the monthly partitions that a range of days meets and that are missing. A month of which lines already lie in
-- the default partition stays there.
CREATE OR REPLACE FUNCTION hotshelf_make_partitions(first_day date, last_day date) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    month date := date_trunc('month', first_day);
    next_month date;
    taken boolean;
    made integer := 0;
BEGIN
    WHILE month <= last_day LOOP
        next_month := month + interval '1 month';
        IF to_regclass(format('orders_%s', to_char(month, 'YYYY_MM'))) IS NULL THEN
            SELECT EXISTS (SELECT FROM orders_default WHERE ordered_at >= month AND ordered_at < next_month) INTO taken;
            IF NOT taken THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF orders FOR VALUES FROM (%L) TO (%L)',
                               'orders_' || to_char(month, 'YYYY_MM'), month, next_month);
                made := made + 1;
            END IF;
        END IF;
        month := next_month;
    END LOOP;
    RETURN made;
END $$;

-- The gateway's read-only role. Give it a login of its own:
--   CREATE USER hotshelf_gateway PASSWORD '…' IN ROLE hotshelf_reader;
-- Creating a role needs the right to; without it the table works, and an administrator can run this part.
DO $$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hotshelf_reader') THEN
            CREATE ROLE hotshelf_reader NOLOGIN;
        END IF;
    EXCEPTION
        -- Somebody else made it meanwhile, for another database of this server: its rights here are granted all the same.
        WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    GRANT SELECT ON orders TO hotshelf_reader;
EXCEPTION
    WHEN insufficient_privilege OR undefined_object THEN
        RAISE NOTICE 'the role hotshelf_reader was left as it is: %', SQLERRM;
END $$;
