"""Which figures there are, what they must not do, and what follows from them for a size that no machine here has."""
import math

from scale_fits import at, exponent, linear, slope

# Beyond noise, nothing may grow faster than stores and lines do; what does not depend on them stays as it is.
MOST, STILL = 1.1, 0.15
# Entries by which a cycle says that nothing changed.
CONFIRMED = 10
LINEAR, OWN, SAME, BOUNDED = "linear", "own", "same", "bounded"
# Name, what it is, how it may grow with stores, and with lines: of all stores (linear), or of one store (own). What is bounded is so by a
# setting, and no line goes through it.
FIGURES = [
    ("pg_mb", "PostgreSQL, table and index, MB", LINEAR, LINEAR),
    ("directory_s", "query of stores and days, s", LINEAR, LINEAR),
    ("once_s", "warmer once, s", LINEAR, LINEAR),
    ("once_cpu_s", "  of the processor: warmer, s", LINEAR, LINEAR),
    ("once_pg_cpu_s", "  PostgreSQL, s", LINEAR, LINEAR),
    ("once_redis_cpu_s", "  Redis, s", LINEAR, LINEAR),
    ("once_peak_mb", "  peak memory, MB", LINEAR, OWN),
    ("redis_mb", "Redis, used memory, MB", LINEAR, LINEAR),
    ("l1_mb", "  L1 order lines of a fifth, MB", LINEAR, LINEAR),
    ("day_cells_mb", "  L2 day cells, MB", LINEAR, LINEAR),
    ("product_cells_mb", "  L2 product cells, MB", LINEAR, LINEAR),
    ("partials_mb", "  L3 partials, MB", LINEAR, LINEAR),
    ("answers_mb", "  L3 answers over all stores, MB", LINEAR, LINEAR),
    ("directory_mb", "  directory, MB", LINEAR, LINEAR),
    ("redis_keys", "  keys", LINEAR, SAME),
    ("first_cycle_s", "warmer run, first cycle, s", LINEAR, LINEAR),
    ("quiet_ms", "  cycle with nothing changed, ms", LINEAR, SAME),
    ("quiet_cpu_ms", "  its processor time: warmer, ms", LINEAR, SAME),
    ("quiet_redis_cpu_ms", "  Redis, ms", LINEAR, SAME),
    ("run_mb", "  resident memory, MB", LINEAR, OWN),
    ("change_ms", "a line changed, to the store's answer, ms", LINEAR, OWN),
    ("change_all_ms", "  to the answer over all stores, ms", LINEAR, OWN),
    ("change_cpu_ms", "  processor time of it: warmer, ms", LINEAR, OWN),
    ("change_pg_cpu_ms", "  PostgreSQL, ms", LINEAR, OWN),
    ("change_gateway_cpu_ms", "  each gateway, ms", LINEAR, SAME),
    ("gateway_start_mb", "gateway at start, MB", SAME, SAME),
    ("gateway_asked_mb", "  after 4 questions per store, at most 2,000, MB", BOUNDED, BOUNDED),
    ("stores_kb", "list of stores, body, kB", LINEAR, SAME),
    ("stores_far_us", "  gateway, µs", LINEAR, SAME),
    ("stores_near_us", "  near, µs", LINEAR, SAME),
    ("table_kb", "table of stores, body, kB", LINEAR, SAME),
    ("table_far_us", "  from Redis: gateway, µs", LINEAR, SAME),
    ("table_near_us", "  near, µs", LINEAR, SAME),
    ("table_compose_cpu_ms", "  composed: gateway, ms of the processor", LINEAR, LINEAR),
    ("overview_far_us", "overview over all: from Redis, gateway, µs", LINEAR, SAME),
    ("overview_near_us", "  near, µs", SAME, SAME),
    ("overview_compose_cpu_ms", "  composed from cells: gateway, ms of the processor", LINEAR, LINEAR),
    ("trend_far_us", "trend over all: from Redis, gateway, µs", LINEAR, SAME),
    ("diagnosis_kb", "diagnosis of all, body, kB", SAME, OWN),
    ("diagnosis_far_us", "  from Redis: gateway, µs", SAME, OWN),
    ("diagnosis_near_us", "  near, µs", SAME, OWN),
    ("diagnosis_compose_cpu_ms", "  merged from partials: gateway, ms of the processor", LINEAR, LINEAR),
    ("one_near_us", "overview of one store: near, µs", SAME, SAME),
    ("one_far_us", "  composed from Redis: gateway, µs", SAME, OWN),
    ("one_far_redis_us", "  Redis, µs", SAME, OWN),
    ("one_diagnosis_us", "diagnosis of one from Redis: gateway, µs", SAME, OWN),
    ("cold_ms", "  from PostgreSQL, ms", SAME, OWN),
]
LABELS = {name: label for name, label, _, _ in FIGURES}
OF_USERS = [
    ("requests_per_s", "requests per second"), ("per_user_minute", "  per user and minute"), ("success", "right answers, %"), ("hit", "hits, %"),
    ("near", "  from the near cache, %"),
    ("p50_ms", "p50, ms"), ("p99_ms", "p99, ms"), ("gateway_us", "gateway per request, µs"), ("redis_us", "Redis per request, µs"),
    ("warmer_us", "warmer per request, µs"), ("gateway_cores", "gateway, cores"), ("redis_cores", "Redis, cores"), ("warmer_cores", "warmer, cores"),
    ("gateway_mb", "gateway, resident, MB"),
    ("body_kb", "body, kB"), ("log_bytes", "access log per request, bytes"),
]
OF_QUESTIONS = [
    ("rank_ms", "ranking and plan, ms"), ("cycle_cpu_ms", "a quiet cycle's processor time, ms"), ("learned_mb", "warmer, resident, MB"),
    ("kept", "documents kept"), ("made_again", "entries written in a quiet cycle"), ("plan_kb", "the plan in Redis, kB"), ("state_mb", "state on disk, MB"), ("redis_mb", "Redis, used memory, MB"),
]
OF_IDLE = [("idle_mb", "gateway, resident, MB")]


def points(rows, name, key):
    """(x, y) of a figure where it was measured as more than nothing."""
    return [(key(row), row[name]) for row in rows if row.get(name, 0) > 0]


def growth(found, kind):
    """Exponent and error of a figure, by how it may grow, if there are points enough."""
    if len(found) < 2 or kind == BOUNDED:
        return None
    grown = slope(found) if kind == SAME else exponent(found)
    # Two points have a slope, and say nothing of its error.
    return grown if math.isfinite(grown[1]) else None


def goals(by_stores, by_lines, by_questions, by_users, by_idle):
    """(name, value, limit). Exponents are less their errors, so that noise misses no goal."""
    made = []

    def add(sweep, name, found, kind):
        grown = growth(found, kind)
        if grown:
            made.append((f"{sweep}_{name}_exponent", round(grown[0] - grown[1], 2), STILL if kind == SAME else MOST))

    for name, _, with_stores, with_lines in FIGURES:
        add("stores", name, points(by_stores, name, lambda row: row["stores"]), with_stores)
        add("lines", name, points(by_lines, name, lambda row: row["lines"]), with_lines)
    for sweep, rows, figures in (("questions", by_questions, ("rank_ms", "cycle_cpu_ms", "learned_mb")),
                                 ("users", by_users, ("gateway_cores", "gateway_mb")), ("connections", by_idle, ("idle_mb",))):
        for name in figures:
            add(sweep, name, [(x, row[name]) for x, row in rows if row[name] > 0], LINEAR)
    # Nothing is asked and nothing changes, so nothing needs to be made.
    made += [(f"questions_{count}_made_again", round(row["made_again"]), CONFIRMED) for count, row in by_questions]
    return made


def fits(by_stores, by_lines):
    """By figure: what a fixed part, a store, a line and a line of each store cost, and the largest share by which a size is off."""
    sizes = {(row["stores"], row["lines"]): row for row in [*by_stores, *by_lines]}.values()
    made = {}
    for name, _, with_stores, with_lines in FIGURES:
        kinds = (True, with_stores == LINEAR, with_lines == LINEAR, with_lines == OWN)
        rows = [([term * kind for term, kind in zip(terms(row["stores"], row["lines"]), kinds)], row[name]) for row in sizes if row[name] > 0]
        if with_stores != BOUNDED and len(rows) > sum(kinds):
            made[name] = linear(rows, terms(100, 3_000))
    return made


def terms(stores, lines):
    return 1, stores, stores * lines, lines


def extended(fit, stores, lines):
    """A figure at a size, by its fit."""
    return at(fit[0], terms(stores, lines))
