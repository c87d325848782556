-- Hotshelf: which store-days changed, noted by triggers ([changes] mode = "trigger"). PostgreSQL 15 or later; safe to run
-- again. As the owner of the table:
--   psql -d hotshelf -f config/changes.sql -c "SELECT hotshelf_watch('orders')"
-- For a table of another layout, hotshelf_watch takes the SQL of its store and time, too. To be rid of it:
-- SELECT hotshelf_unwatch('orders'). Without it, [changes] mode = "poll" finds changes by asking.
--
-- How it works. Every statement that changes lines appends its store-days to the table's "dirty" table (orders_dirty), in
-- its own transaction: a rollback leaves nothing, and nothing is lost while no warmer runs. The warmer reads rows, rewrites
-- the store-days, and deletes exactly the rows that it read. Nothing there is unique or updated, so writers never wait for
-- each other or for the warmer. The triggers are those of statements, one call for any number of lines. A statement on the
-- table fires its triggers and not those of its partitions, one on a partition only those: both have them.
-- What no trigger sees (logical replication, DISABLE TRIGGER), the warmer's sweep finds.
--
-- What to know before. NOTIFY makes commits of writers follow each other for the moment of the commit itself. Installing
-- waits at most 5 s for whoever is writing. A column that stands in store or time cannot be renamed or dropped while the
-- table is watched, or writing fails: hotshelf_unwatch first, and hotshelf_watch with the new name after.

-- The tables that are watched.
CREATE TABLE IF NOT EXISTS hotshelf_watches (
    root    regclass PRIMARY KEY,
    store   text NOT NULL,             -- SQL of the store's texts, separated by commas: the first that is not empty counts
    time    text NOT NULL,             -- SQL of the local order time
    dirty   regclass NOT NULL,
    mark    regproc NOT NULL,          -- the trigger function
    channel text NOT NULL,             -- of NOTIFY
    parts   regclass[] NOT NULL DEFAULT '{}' -- table and partitions that have the triggers
);

-- Notes all store-days of one table or partition, without those of its own partitions.
CREATE OR REPLACE FUNCTION hotshelf_mark_all(watched regclass, part regclass) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    watch hotshelf_watches;
BEGIN
    SELECT * INTO STRICT watch FROM hotshelf_watches WHERE root = watched;
    -- An older snapshot does not show everything that TRUNCATE removes; and whoever truncates a huge table shall not wait
    -- for a scan. A row without store and day stands for all store-days.
    IF current_setting('transaction_isolation') <> 'read committed' OR pg_relation_size(part) > 10 * 1024 ^ 3 THEN
        EXECUTE format('INSERT INTO %s DEFAULT VALUES', watch.dirty);
    ELSE
        EXECUTE format('INSERT INTO %1$s (store, day) SELECT ARRAY[%2$s]::text[], (%3$s)::date FROM ONLY %4$s '
                       'WHERE (%3$s)::date BETWEEN ''1970-01-01'' AND ''2199-12-31'' GROUP BY %2$s, (%3$s)::date',
                       watch.dirty, watch.store, watch.time, part);
    END IF;
    PERFORM pg_notify(watch.channel, '');
END $$;

-- Gives the triggers to partitions that have none yet, and notes what lies in them; notes what became of partitions that
-- are gone. Returns how many came or went. `warmer import` calls it after making partitions, and the warmer before it reads
-- changes: an event trigger would do it at once, but takes a superuser, and runs in everybody's DDL. What is written to
-- a new partition before the call is not lost, since all of its store-days are noted then.
CREATE OR REPLACE FUNCTION hotshelf_watch_partitions(watched regclass) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '5s' AS $$
DECLARE
    watch hotshelf_watches;
    tree regclass[];
    ready regclass[];
    alien regclass;
    part regclass;
    changed integer := 0;
    everything boolean;
BEGIN
    FOR attempt IN 1..2 LOOP
        WITH RECURSIVE members (member) AS (
            SELECT watched::oid
            UNION SELECT i.inhrelid FROM pg_inherits i JOIN members ON i.inhparent = member WHERE NOT i.inhdetachpending)
        SELECT array_agg(member::regclass ORDER BY member),
               coalesce(array_agg(member::regclass ORDER BY member) FILTER (WHERE 3 + (c.relkind <> 'p')::int = (
                   SELECT count(*) FROM pg_trigger t JOIN hotshelf_watches w ON w.root = watched
                   WHERE t.tgrelid = member AND t.tgfoid = w.mark AND t.tgenabled = 'A')), '{}'),
               min(member) FILTER (WHERE c.relkind = 'f')
        INTO tree, ready, alien FROM members JOIN pg_class c ON c.oid = member;
        IF attempt = 1 THEN
            SELECT * INTO watch FROM hotshelf_watches WHERE root = watched;
            IF NOT FOUND THEN
                RAISE EXCEPTION '% is not watched', watched USING HINT = 'run hotshelf_watch first';
            END IF;
            EXIT WHEN ready = tree AND watch.parts = tree;
            -- One at a time: whoever is at it now does the work of this call, or the next call does.
            PERFORM FROM hotshelf_watches WHERE root = watched FOR UPDATE SKIP LOCKED;
            EXIT WHEN NOT FOUND;
            CONTINUE;
        END IF;
        SELECT * INTO watch FROM hotshelf_watches WHERE root = watched;
        IF alien IS NOT NULL THEN
            RAISE EXCEPTION 'partition % of % is a foreign table: with these triggers, nothing could be written to it',
                alien, watched USING ERRCODE = 'wrong_object_type', HINT = 'set [changes] mode = "poll"';
        END IF;
        -- What changed before the table was watched, nobody noted.
        everything := watch.parts = '{}';
        FOREACH part IN ARRAY tree LOOP
            CONTINUE WHEN part = ANY (ready);
            -- First the triggers: they wait for whoever is writing, whose lines are then seen below.
            PERFORM hotshelf_make_triggers(part, watch.mark);
            changed := changed + 1;
            -- Triggers that were lost: nor did anybody note what was deleted meanwhile.
            everything := everything OR part = ANY (watch.parts);
            IF NOT everything THEN
                PERFORM hotshelf_mark_all(watched, part);
            END IF;
        END LOOP;
        FOREACH part IN ARRAY watch.parts LOOP
            CONTINUE WHEN part = ANY (tree);
            changed := changed + 1;
            IF EXISTS (SELECT FROM pg_class WHERE oid = part) THEN
                PERFORM hotshelf_drop_triggers(part);
                PERFORM hotshelf_mark_all(watched, part);
            ELSE
                everything := true;
            END IF;
        END LOOP;
        UPDATE hotshelf_watches SET parts = tree WHERE root = watched;
        IF everything THEN
            EXECUTE format('INSERT INTO %s DEFAULT VALUES', watch.dirty);
            PERFORM pg_notify(watch.channel, '');
        END IF;
    END LOOP;
    RETURN changed;
END $$;

-- One event per trigger: more cannot have transition tables. ALWAYS: also in a load that turns other triggers off.
CREATE OR REPLACE FUNCTION hotshelf_make_triggers(part regclass, mark regproc) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    event record;
BEGIN
    FOR event IN
        SELECT * FROM (VALUES
            ('insert', 'AFTER INSERT', 'REFERENCING NEW TABLE AS new_lines'),
            ('update', 'AFTER UPDATE', 'REFERENCING OLD TABLE AS old_lines NEW TABLE AS new_lines'),
            ('delete', 'AFTER DELETE', 'REFERENCING OLD TABLE AS old_lines'),
            ('truncate', 'BEFORE TRUNCATE', '')) AS events (name, at, tables)
        -- TRUNCATE fires the triggers of all partitions, and only those have lines.
        WHERE name <> 'truncate' OR (SELECT relkind <> 'p' FROM pg_class WHERE oid = part)
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER hotshelf_%s %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION %s()',
                       event.name, event.at, part, event.tables, mark);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER hotshelf_%s', part, event.name);
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION hotshelf_drop_triggers(part regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    event text;
BEGIN
    FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS hotshelf_%s ON %s', event, part);
    END LOOP;
END $$;

-- Watches a table: `store` and `time` are the SQL of its store (text; several, separated by commas: the first that is
-- not empty) and of its store-local time. Called again, it changes nothing, or follows what changed.
CREATE OR REPLACE FUNCTION hotshelf_watch(watched regclass, store text DEFAULT 'store_id', "time" text DEFAULT 'ordered_at')
RETURNS void LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
DECLARE
    home name;
    own name;
    kind "char";
    parent regclass;
    base text;
    dirty text;
    mark text;
    channel text;
BEGIN
    SELECT n.nspname, c.relname, c.relkind, (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid LIMIT 1)
    INTO home, own, kind, parent FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = watched;
    IF kind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION '% is a view or foreign table, which cannot have these triggers', watched
            USING ERRCODE = 'wrong_object_type', HINT = 'set [changes] mode = "poll"';
    ELSIF parent IS NOT NULL THEN
        RAISE EXCEPTION '% is a part of %, and what is written through that fires no trigger of a part', watched, parent
            USING ERRCODE = 'wrong_object_type', HINT = format('watch %s, or set [changes] mode = "poll"', parent);
    END IF;
    -- Names have at most 63 bytes.
    base := CASE WHEN octet_length(own) <= 50 THEN own::text ELSE 'hotshelf_' || md5(own) END;
    dirty := format('%I.%I', home, base || '_dirty');
    mark := format('%I.%I', home, base || '_dirty_mark');
    channel := CASE WHEN octet_length(dirty) <= 63 THEN dirty ELSE 'hotshelf_' || md5(dirty) END;

    EXECUTE format('CREATE TABLE IF NOT EXISTS %s (id bigint GENERATED ALWAYS AS IDENTITY, store text[], day date, '
                   'at timestamptz NOT NULL DEFAULT clock_timestamp())', dirty);
    BEGIN
        EXECUTE format('SELECT id, store[1], day, at FROM %s LIMIT 0', dirty);
    EXCEPTION WHEN undefined_column OR datatype_mismatch THEN
        RAISE EXCEPTION 'the table % is there and is somebody else''s', dirty
            USING ERRCODE = 'wrong_object_type', HINT = 'rename it, or set [changes] mode = "poll"';
    END;
    -- For deleting by number. Not unique: writers would wait for nothing, but the number says it all.
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %s (id)', base || '_dirty_id', dirty);
    -- Whoever may change lines may append here, through this function only. GROUP BY rather than DISTINCT: so arrays are
    -- made of groups, not of lines.
    EXECUTE format($make$
        CREATE OR REPLACE FUNCTION %1$s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, pg_temp AS $mark$
        #variable_conflict use_column
        BEGIN
            IF TG_OP = 'TRUNCATE' THEN
                PERFORM %6$I.hotshelf_mark_all(%5$L::regclass, TG_RELID);
                RETURN NULL;
            ELSIF TG_OP = 'INSERT' THEN
                INSERT INTO %2$s (store, day) SELECT ARRAY[%3$s]::text[], (%4$s)::date FROM new_lines
                WHERE (%4$s)::date BETWEEN '1970-01-01' AND '2199-12-31' GROUP BY %3$s, (%4$s)::date;
            ELSIF TG_OP = 'DELETE' THEN
                INSERT INTO %2$s (store, day) SELECT ARRAY[%3$s]::text[], (%4$s)::date FROM old_lines
                WHERE (%4$s)::date BETWEEN '1970-01-01' AND '2199-12-31' GROUP BY %3$s, (%4$s)::date;
            ELSE
                INSERT INTO %2$s (store, day)
                SELECT ARRAY[%3$s]::text[], (%4$s)::date FROM old_lines
                WHERE (%4$s)::date BETWEEN '1970-01-01' AND '2199-12-31' GROUP BY %3$s, (%4$s)::date
                UNION SELECT ARRAY[%3$s]::text[], (%4$s)::date FROM new_lines
                WHERE (%4$s)::date BETWEEN '1970-01-01' AND '2199-12-31' GROUP BY %3$s, (%4$s)::date;
            END IF;
            IF FOUND THEN
                PERFORM pg_notify(%7$L, '');
            END IF;
            RETURN NULL;
        END $mark$
    $make$, mark, dirty, store, "time", format('%I.%I', home, own), current_schema(), channel);

    EXECUTE format('REVOKE ALL ON FUNCTION %s() FROM PUBLIC', mark);

    -- Of tables that were dropped.
    DELETE FROM hotshelf_watches w WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = w.root);
    INSERT INTO hotshelf_watches AS w (root, store, time, dirty, mark, channel)
    VALUES (watched, store, "time", dirty::regclass, mark::regproc, channel)
    ON CONFLICT (root) DO UPDATE
    SET store = excluded.store, time = excluded.time, dirty = excluded.dirty, mark = excluded.mark,
        channel = excluded.channel,
        -- Other stores or days: as if new.
        parts = CASE WHEN (w.store, w.time) = (excluded.store, excluded.time) THEN w.parts ELSE '{}' END;
    PERFORM hotshelf_watch_partitions(watched);

    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'hotshelf_warmer') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO hotshelf_warmer', home);
        EXECUTE format('GRANT SELECT ON %s TO hotshelf_warmer', watched);
        EXECUTE format('GRANT SELECT, DELETE ON %s TO hotshelf_warmer', dirty);
    END IF;
END $$;

-- Undoes hotshelf_watch.
CREATE OR REPLACE FUNCTION hotshelf_unwatch(watched regclass) RETURNS void LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
DECLARE
    watch hotshelf_watches;
    part regclass;
BEGIN
    DELETE FROM hotshelf_watches w WHERE w.root = watched RETURNING * INTO watch;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOREACH part IN ARRAY watch.parts LOOP
        IF EXISTS (SELECT FROM pg_class WHERE oid = part) THEN
            PERFORM hotshelf_drop_triggers(part);
        END IF;
    END LOOP;
    EXECUTE format('DROP FUNCTION %s()', watch.mark);
    EXECUTE format('DROP TABLE %s', watch.dirty);
END $$;

-- Functions that act with their owner's rights find what is theirs, whoever calls them.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['hotshelf_mark_all(regclass, regclass)', 'hotshelf_watch_partitions(regclass)',
                                'hotshelf_watch(regclass, text, text)', 'hotshelf_unwatch(regclass)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', name);
    END LOOP;
END $$;

-- The warmer's role: reads lines, reads and deletes notes. Give it a login of its own:
--   CREATE USER hotshelf_warmer_1 PASSWORD '…' IN ROLE hotshelf_warmer;
-- Creating a role needs the right to; without it an administrator can run this part.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'hotshelf_warmer') THEN
        CREATE ROLE hotshelf_warmer NOLOGIN;
    END IF;
EXCEPTION
    WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
        RAISE NOTICE 'the role hotshelf_warmer was not made: %', SQLERRM;
END $$;
DO $$
BEGIN
    GRANT SELECT ON hotshelf_watches TO hotshelf_warmer;
    GRANT EXECUTE ON FUNCTION hotshelf_watch_partitions(regclass) TO hotshelf_warmer;
EXCEPTION
    WHEN undefined_object THEN
        RAISE NOTICE 'there is no role hotshelf_warmer: %', SQLERRM;
END $$;
