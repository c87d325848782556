"""Tables and goals, for a terminal and as a Markdown page."""
import operator

COMPARE = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


class Report:
    """Collects what is printed."""

    def __init__(self):
        self.parts, self.missed = [], []

    def text(self, text):
        self.parts.append(("text", text))

    def title(self, text):
        self.parts.append(("title", text))

    def table(self, heads, rows):
        self.parts.append(("table", ([heads], [[cell(value) for value in row] for row in rows])))

    def goal(self, name, value, how, limit, why=()):
        met = value is not None and COMPARE[how](value, limit)
        if not met:
            self.missed.append(name)
        self.parts.append(("goal", (name, cell(value), how, cell(limit), "met" if met else "missed")))
        if not met:
            for line in list(why)[:8]:
                self.parts.append(("text", f"  {line}"))

    def print(self):
        for kind, what in self.parts:
            if kind == "title":
                print(f"\n{what}\n")
            elif kind == "text":
                print(what)
            elif kind == "goal":
                print("goal", *what)
            else:
                heads, rows = what
                widths = [max(map(len, column)) for column in zip(*heads, *rows)]
                for row in [*heads, *rows]:
                    print("  ".join(value.ljust(width) if at == 0 else value.rjust(width)
                                    for at, (value, width) in enumerate(zip(row, widths))).rstrip())
                print()

    def markdown(self, heading, command):
        lines, before = [f"# {heading}", "", f"Made by `{command}`; what is changed here is lost.", ""], None
        for kind, what in self.parts:
            if kind == "goal" != before:
                lines += ["| goal | value | limit | |", "|---|---|---|---|"]
            elif before == "goal" != kind:
                lines.append("")
            before = kind
            if kind == "goal":
                name, value, how, limit, met = what
                lines.append(f"| {name} | {value} | {how} {limit} | {met} |")
            elif kind == "title":
                lines += [f"## {what}", ""]
            elif kind == "text":
                lines += [what, ""]
            else:
                (heads,), rows = what
                lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
                lines += ["| " + " | ".join(value.replace("|", "\\|") for value in row) + " |" for row in rows] + [""]
        return "\n".join(lines) + "\n"


def cell(value):
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)
