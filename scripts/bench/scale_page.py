"""The measured part of docs/scaling.md, and its picture."""
import pathlib
import sys

from scale_figures import fits, extended

PAGE, PICTURE = pathlib.Path("docs/scaling.md"), pathlib.Path("docs/images/scaling.svg")
BEGIN, END = "<!-- measured: made by scripts/bench-scale --write; what is changed here is lost -->", "<!-- end of what was measured -->"

# Panels of the picture: title, sweep, what x is, and its lines by figure.
PANELS = [
    ("Warm-up and cycles", "by_stores", "stores", {"once_s": "warmer once, s", "directory_s": "query of stores and days, s",
                                                  "quiet_ms": "quiet cycle, ms", "change_all_ms": "change to answer over all, ms"}),
    ("Memory, MB", "by_stores", "stores", {"pg_mb": "PostgreSQL", "redis_mb": "Redis", "run_mb": "warmer run", "once_peak_mb": "warmer once, peak",
                                           "gateway_start_mb": "gateway at start"}),
    ("Answers over all stores, composed, ms of the processor", "by_stores", "stores", {"table_compose_cpu_ms": "table of stores", "overview_compose_cpu_ms": "overview",
                                                                   "diagnosis_compose_cpu_ms": "diagnosis"}),
    ("Gateway per answer, µs of the processor", "by_stores", "stores", {
        "table_far_us": "table of stores, from Redis", "table_near_us": "the same, near", "one_far_us": "one store, composed",
        "one_near_us": "one store, near"}),
    ("By lines", "by_lines", "lines per store", {"once_s": "warmer once, s", "redis_mb": "Redis, MB", "cold_ms": "cold diagnosis, ms",
                                                 "one_far_us": "one store, composed, µs"}),
]


def write(found, tables):
    page(found, tables)
    picture(found)


def page(found, tables):
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"error: {PAGE} lacks a line {BEGIN!r} or {END!r}; put them back")
    parts = [f"Measured on {found['date']}: {found['machine']}.\n"]
    for title, heads, rows in tables:
        parts.append(f"### {title[0].upper()}{title[1:]}\n")
        parts.append("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
        parts[-1] += "".join("\n| " + " | ".join(cell.strip() if n else cell.replace("  ", "… ") for n, cell in enumerate(row)) + " |" for row in rows) + "\n"
    PAGE.write_text(before + BEGIN + "\n" + "\n".join(parts) + END + after, encoding="utf-8")


def picture(found):
    try:
        import matplotlib
    except ImportError:
        sys.exit("error: matplotlib is missing for the picture; scripts/bench-scale --write installs it")
    matplotlib.use("svg")
    # Texts as texts, and nothing that differs from run to run.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "hotshelf", "font.size": 8, "axes.grid": True, "grid.alpha": 0.3})
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, 3, figsize=(12, 7))
    made = fits(found["by_stores"], found["by_lines"])
    for axes, (title, sweep, label, lines) in zip(panels.flat, PANELS):
        rows = found[sweep]
        for name, text in lines.items():
            x = [row["stores" if sweep == "by_stores" else "lines"] for row in rows]
            drawn = axes.plot(x, [row[name] for row in rows], "o", label=text, markersize=4)
            if name in made:
                axes.plot(x, [extended(made[name], row["stores"], row["lines"]) for row in rows], "-", color=drawn[0].get_color(), linewidth=0.8)
        finish(axes, title, label)
    axes = panels.flat[-1]
    for name, text in (("requests_per_s", "requests per second"), ("gateway_us", "gateway per request, µs"), ("p99_ms", "p99, ms"),
                       ("gateway_mb", "gateway, MB")):
        axes.plot([count for count, _ in found["by_users"]], [row[name] for _, row in found["by_users"]], "o-", label=text, markersize=4, linewidth=0.8)
    finish(axes, "By users", "users")
    figure.tight_layout()
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None})


def finish(axes, title, label):
    axes.set(xscale="log", yscale="log", title=title, xlabel=label)
    axes.legend(fontsize=7)
