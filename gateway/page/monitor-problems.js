// What is wrong, what it means and what to do next: judged from a status, the worst first. Texts are in strings-problems.js
// under `problem.<kind>`; the steps are those of the runbook in docs/operations.md.

import { ago, bytes, duration, has, millis, number, percent, t } from "./i18n.js";
import { activeWarmer, cpuLevel, hitLevel, memoryLevel, p99Level, redisLevel } from "./monitor-levels.js";
import { causes, fewAnswers, warmProgress } from "./monitor-why.js";

const WARMER = "--config /etc/hotshelf/warmer.toml";
/** Access logs unread beyond that are more than the warmer's beat. */
const BACKLOG_BYTES = 16_777_216;
/** Data not confirmed for that long are old news, whatever the interval of the warmer. */
const UNCONFIRMED_MS = 3_600_000;

/** What to do about a warning of Redis: in this page's words where it has some, else in the gateway's, which are English. */
export const remedyText = ({ kind, remedy }) => (has(`remedy.${kind}`) ? t(`remedy.${kind}`) : remedy);

/** `[{kind, level, title, why, next, commands, target}]`; `target` is the id of what shows more of it. */
export function problems(status) {
  const found = [];
  /** Adds one; `params` fill its texts, `more` its other fields. */
  const add = (kind, level, params = {}, more = {}) =>
    found.push({
      // Commands are for who can give them.
      commands: status.viewer?.operator === false ? [] : (more.commands ?? []),
      kind,
      level,
      title: t(`problem.${kind}`, params),
      why: more.why ?? t(`problem.${kind}.why`, params),
      next: more.next ?? t(`problem.${kind}.next`, params),
      target: more.target ?? null,
    });
  ofRedis(status, add);
  ofDatabase(status, add);
  ofWarmers(status, add);
  ofAnswers(status, add);
  ofMachine(status, add);
  return found.sort((a, b) => (a.level === "bad" ? 0 : 1) - (b.level === "bad" ? 0 : 1));
}

function ofRedis({ redis, now }, add) {
  if (!redis) return;
  const level = redisLevel(redis);
  if (level === "bad") {
    add(
      "redis_offline",
      "bad",
      { since: duration(now - (redis.since ?? now)), error: redis.last_error ?? t("unknown") },
      {
        why:
          t("problem.redis_offline.why") +
          (redis.last_error ? ` ${t("problem.redis_offline.error", { error: redis.last_error })}` : ""),
        commands: [
          "systemctl status redis-server",
          "journalctl -u redis-server -n 50",
          "systemctl restart redis-server",
        ],
        target: "tile-redis",
      },
    );
  } else if (level === "watch") {
    add(
      "redis_unsteady",
      "watch",
      { success: percent(redis.success_percent), failures: redis.failures ?? 0, checks: redis.checks ?? 0 },
      {
        commands: ["journalctl -u redis-server --since -1h", "redis-cli --latency-history -i 5"],
        target: "tile-redis",
      },
    );
  }
  for (const warning of redis.warnings ?? []) {
    const known = has(`problem.warning.${warning.kind}`);
    add(
      known ? `warning.${warning.kind}` : "warning",
      "watch",
      {},
      { why: warning.seen, next: remedyText(warning), target: "tile-redis" },
    );
  }
}

function ofDatabase({ postgres, gateway }, add) {
  if (postgres && postgres.admits === false) {
    add(
      "postgres_offline",
      "bad",
      {},
      {
        commands: [
          "systemctl status postgresql",
          "psql \"$POSTGRES_ADMIN\" -c 'SELECT 1'",
          "df -h /var/lib/postgresql",
        ],
        target: "tile-p99",
      },
    );
  } else if (postgres?.waiting > 0 && postgres.connections >= postgres.max_connections) {
    add(
      "postgres_busy",
      "watch",
      { waiting: postgres.waiting, most: postgres.max_connections },
      { target: "tile-p99" },
    );
  }
  if (gateway?.ready === false) {
    add(
      "gateway_unready",
      "watch",
      {},
      { why: gateway.problem ?? t("unknown"), commands: ["journalctl -u gateway -n 50"] },
    );
  }
}

function ofWarmers(status, add) {
  const { redis, warmers, now } = status;
  if (redis?.kind !== "redis" || redis.state !== "online") return;
  const warmer = activeWarmer(status);
  if (!warmer) {
    const standing = (warmers ?? []).length;
    add(
      standing ? "no_writer" : "no_warmer",
      "bad",
      { n: standing },
      {
        commands: [`warmer status ${WARMER}`, "journalctl -u warmer -n 50", "systemctl restart warmer"],
        target: "warmers",
      },
    );
    return;
  }
  if (warmer.paused) {
    const { by, since, until, reason } = warmer.paused;
    const words = [
      by && t("paused.by", { by }),
      reason && t("paused.reason", { reason }),
      until && t("paused.until", { time: ago(until, now), left: duration(until - now) }),
    ];
    add(
      "paused",
      "watch",
      { since: duration(now - since) },
      {
        why: [t("problem.paused.why"), ...words.filter(Boolean)].join(" "),
        commands: [`warmer resume ${WARMER}`],
        target: "warmers",
      },
    );
  }
  const cold = (warmer.stores ?? 0) - (warmer.stores_ready ?? 0);
  if (warmer.stores_left_out > 0)
    add(
      "left_out",
      "watch",
      { n: warmer.stores_left_out },
      { commands: [`warmer setup redis ${WARMER} --maxmemory 2GiB --apply`], target: "heat" },
    );
  if (cold > 0) {
    const failing = (warmer.unready ?? []).filter((store) => store.why?.code === "failing");
    const params = { n: cold, stores: warmer.stores, failing: failing.length, waiting: warmer.waiting ?? 0 };
    if (failing.length)
      add("failing", "watch", params, {
        why: t("problem.failing.why", { store: failing[0].store_id, error: failing[0].why.error }),
        commands: [
          "journalctl -u warmer --since -1h --grep 'a store was not warmed'",
          `warmer refresh --store ${failing[0].store_id} ${WARMER}`,
        ],
        target: "heat",
      });
    else add("cold", "watch", params, { target: "heat" });
  }
  if (warmer.log_backlog > BACKLOG_BYTES)
    add("backlog", "watch", { size: bytes(warmer.log_backlog) }, { target: "warmers" });
  const confirmed = status.data?.confirmed_at;
  if (confirmed && now - confirmed > UNCONFIRMED_MS && !warmer.paused) {
    add(
      "unconfirmed",
      "watch",
      { age: duration(now - confirmed) },
      { commands: [`warmer status ${WARMER}`], target: "warmers" },
    );
  }
}

function ofAnswers(status, add) {
  const { requests, errors } = status;
  const hit = hitLevel(requests?.hit_percent);
  if ((hit === "watch" || hit === "bad") && fewAnswers(status) === null) {
    const found = causes(status);
    const progress = warmProgress(status);
    const why = [...found.map((cause) => cause.text), progress].filter(Boolean).join(" ");
    add(
      "hit",
      hit,
      { hit: percent(requests.hit_percent) },
      {
        ...(why ? { why, next: t(progress ? "problem.hit.wait" : "problem.hit.follow") } : {}),
        commands: why ? [] : [`warmer plan --top 50 ${WARMER}`, `warmer hot --since 1h ${WARMER}`],
        target: "tile-hit",
      },
    );
  }
  if (requests?.failed_percent > 1) {
    add(
      "failed",
      requests.failed_percent > 5 ? "bad" : "watch",
      { failed: percent(requests.failed_percent) },
      { commands: ["journalctl -u gateway --since -15min --grep 'panicked|cannot answer'"], target: "errors" },
    );
  }
  const p99 = p99Level(requests?.p99_ms);
  if (p99 === "watch" || p99 === "bad") {
    add(
      "slow",
      p99,
      { p99: millis(requests.p99_ms) },
      { commands: ["journalctl -u gateway --since -15min --grep 'a request was slow'"], target: "tile-p99" },
    );
  }
  if (errors?.panics > 0)
    add(
      "panics",
      "watch",
      { n: errors.panics },
      { commands: ["journalctl -u gateway --grep panicked"], target: "errors" },
    );
  if (errors?.access_log_failed > 0)
    add(
      "access_log",
      "watch",
      { n: errors.access_log_failed },
      { commands: ["df -h /var/log/hotshelf", "ls -ld /var/log/hotshelf"], target: "errors" },
    );
}

function ofMachine({ system }, add) {
  const memory = memoryLevel(system?.memory_percent);
  if (memory === "watch" || memory === "bad") {
    add(
      "memory",
      memory,
      { used: percent(system.memory_percent), size: bytes(system.memory_total) },
      { commands: ["ps aux --sort -rss | head"], target: "tile-memory" },
    );
  }
  const cpu = cpuLevel(system?.cpu_percent);
  if (cpu === "watch" || cpu === "bad") {
    add(
      "cpu",
      cpu,
      { used: percent(system.cpu_percent, 0), n: number(system.cpus) },
      { commands: ["top -b -n 1 | head -20"], target: "tile-cpu" },
    );
  }
}
