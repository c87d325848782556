"""The picture of the peers: how many times as fast as Hotshelf each is, with the spread of its rounds."""
import statistics

import matplotlib

matplotlib.use("svg")
# A salt, or each drawing would differ in all its names.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "hotshelf", "font.size": 9})
import matplotlib.pyplot as pyplot

TITLES = {"serving": "Serving: requests/s, 64 connections, ÷ the gateway's near cache",
          "computing": "Computing all cells of 3,000,000 lines: speed ÷ Hotshelf's",
          "warming": "Warming 3,000,000 lines of PostgreSQL: speed ÷ that of warmer once"}
OURS, THEIRS = "#0b6e4f", "#5a6472"


def ours(name):
    return name.startswith(("gateway", "Hotshelf", "`warmer"))


def draw(results, path):
    """One panel per part, one point per row, with a bar from the slowest to the fastest round."""
    figure, panels = pyplot.subplots(
        len(results), 1, figsize=(8, 0.9 * len(results) + 0.27 * sum(len(one["rows"]) for one in results)), squeeze=False,
        height_ratios=[len(one["rows"]) + 1 for one in results], layout="constrained")
    figure.patch.set_facecolor("white")
    for found, panel in zip(results, panels[:, 0]):
        rows = sorted(found["rows"], key=lambda one: statistics.median(one["speed"]))
        for at, one in enumerate(rows):
            middle, low, high = (of(one["speed"]) for of in (statistics.median, min, max))
            colour = OURS if ours(one["name"]) else THEIRS
            panel.errorbar(middle, at, xerr=[[middle - low], [high - middle]], fmt="o", color=colour, ecolor=colour, capsize=3,
                           markersize=5)
            panel.annotate(f"{middle:.2g}" if middle < 0.1 else f"{middle:.2f}", (high, at), (7, 0), textcoords="offset points",
                           va="center", color=colour)
        panel.axvline(1, color=OURS, linewidth=0.8)
        panel.set_xscale("log")
        least = min(min(one["speed"]) for one in rows)
        most = max(max(one["speed"]) for one in rows)
        # Room at the right for the number of the fastest.
        panel.set_xlim(least / 1.3, most * (most / least) ** 0.15 * 1.15)
        panel.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        panel.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        panel.set_ylim(-0.7, len(rows) - 0.3)
        panel.set_yticks(range(len(rows)), [one["name"].strip("`").replace("`", "") for one in rows])
        panel.set_title(TITLES[found["part"]], loc="left", fontsize=10)
        panel.grid(axis="x", color="#e3e6ea", linewidth=0.7)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    # No date: the same figures make the same file.
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
