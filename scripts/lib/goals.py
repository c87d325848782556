"""Goals of a bench: a line for each at its end, and the exit code."""
import sys

goals = []


def goal(name, value, operator, limit):
    met = {"<": value < limit, "<=": value <= limit, ">=": value >= limit}[operator]
    goals.append((f"goal {name} {value} {operator} {limit} {'met' if met else 'missed'}", met))


def finish():
    for line, _ in goals:
        print(line)
    sys.exit(0 if all(met for _, met in goals) else 1)
