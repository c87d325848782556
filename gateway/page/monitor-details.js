// What opens below each tile: everything known about its figure, and what it means.

import { el } from "./dom.js";
import { ago, bytes, dateTime, duration, millis, number, percent, t, time } from "./i18n.js";
import { eventText } from "./monitor-events.js";
import { hitLevel, memoryLevel } from "./monitor-levels.js";
import { remedyText } from "./monitor-problems.js";
import { explainHits } from "./monitor-why.js";
import { badge, facts, meter, table } from "./parts.js";

const HIT_EVENTS = [
  "redis_offline",
  "redis_online",
  "redis_restarted",
  "cache_emptied",
  "no_warmer",
  "warmer_active",
  "warmer_paused",
  "warmer_resumed",
  "hit_rate_fell",
  "hit_rate_recovered",
  "evictions",
  "postgres_offline",
  "gateway_started",
];

const words = (key, params) => el("p", { class: "words" }, t(key, params));
const nothing = (value) => value === null || value === undefined;

function redis(status) {
  const it = status.redis ?? {};
  if (it.kind === "memory") return [words("detail.redis.memory")];
  const room = it.max_memory ? it.used_memory / it.max_memory : null;
  return [
    el(
      "div",
      { class: "columns" },
      facts([
        [
          t("redis.state"),
          t("redis.since", {
            state: t(`tile.redis.${it.state ?? "unknown"}`),
            time: dateTime(it.since),
            age: duration(nothing(it.since) ? null : status.now - it.since),
          }),
        ],
        [
          t("redis.checks"),
          t("redis.checks.value", {
            checks: number(it.checks),
            failures: number(it.failures),
            success: percent(it.success_percent),
          }),
        ],
        [t("redis.reconnects"), number(it.reconnects)],
        [t("redis.ping"), millis(it.ping_ms)],
        [t("redis.checked"), ago(it.checked_at, status.now)],
        it.last_error && [
          t("redis.error"),
          el("span", null, el("code", null, it.last_error), ` (${dateTime(it.last_error_at)})`),
        ],
      ]),
      facts([
        [
          t("redis.memory"),
          el(
            "span",
            null,
            t("redis.memory.value", {
              used: bytes(it.used_memory),
              most: it.max_memory ? bytes(it.max_memory) : t("redis.nolimit"),
              percent: percent(it.memory_percent),
            }),
            room !== null && meter(room, room > 0.85 ? "watch" : "good"),
          ),
        ],
        [t("redis.policy"), nothing(it.policy) ? t("unknown") : el("code", null, it.policy)],
        [t("redis.keys"), number(it.keys)],
        [t("redis.evicted"), number(it.evicted_keys)],
        [t("redis.version"), it.version ?? t("unknown")],
        [t("redis.uptime"), nothing(it.uptime_s) ? t("unknown") : duration(it.uptime_s * 1000)],
      ]),
    ),
    (it.warnings ?? []).length > 0 &&
      el(
        "ul",
        { class: "warnings" },
        it.warnings.map((warning) =>
          el(
            "li",
            { "data-level": "watch" },
            badge("watch"),
            el(
              "div",
              null,
              el("p", null, warning.seen),
              el("p", null, el("b", null, `${t("verdict.next")} `), remedyText(warning)),
            ),
          ),
        ),
      ),
  ];
}

function hit(status) {
  const events = (status.events ?? [])
    .filter((event) => HIT_EVENTS.includes(event.kind))
    .slice(-6)
    .reverse();
  const most = Math.max(1, ...(status.levels ?? []).map((level) => level.percent ?? 0));
  const all = status.warmers?.find((warmer) => warmer.all_gateways)?.all_gateways;
  return [
    el(
      "div",
      { class: "why", "data-level": hitLevel(status.requests?.hit_percent) },
      el("h4", null, t("detail.hit.why")),
      explainHits(status).map((sentence) => el("p", null, sentence)),
    ),
    el(
      "div",
      { class: "columns" },
      table(
        t("detail.hit.levels"),
        [[t("level.outcome")], [t("level.share"), true], [""], [t("level.requests"), true]],
        (status.levels ?? []).map((level) => [
          el(
            "span",
            null,
            el("b", null, t(`outcome.${level.outcome}`)),
            " ",
            el("span", { class: "muted wide-only" }, t(`outcome.${level.outcome}.words`)),
          ),
          percent(level.percent),
          el("span", { class: "level-bar" }, meter((level.percent ?? 0) / most)),
          number(level.requests),
        ]),
      ),
      el(
        "div",
        null,
        el("h4", null, t("detail.hit.events")),
        events.length === 0
          ? words("events.none")
          : el(
              "ul",
              { class: "short-events" },
              events.map((event) =>
                el(
                  "li",
                  null,
                  el("time", { class: "muted", datetime: new Date(event.at).toISOString() }, time(event.at)),
                  " ",
                  eventText(event),
                ),
              ),
            ),
        all &&
          words("detail.hit.all", {
            hit: percent(all.hit_percent),
            stale: percent(all.stale_percent, 2),
            failed: percent(all.failed_percent, 2),
          }),
      ),
    ),
  ];
}

function memory(status) {
  const { system, redis: server, warmers } = status;
  if (!system) return [words("detail.operators")];
  const part = (value) =>
    el(
      "span",
      null,
      bytes(value),
      " ",
      el("span", { class: "muted" }, nothing(value) ? "" : percent((value / system.memory_total) * 100)),
    );
  return [
    facts([
      [
        t("memory.machine"),
        el(
          "span",
          null,
          t("tile.memory.sub", { used: bytes(system.memory_used), total: bytes(system.memory_total) }),
          meter(system.memory_percent / 100, memoryLevel(system.memory_percent)),
        ),
      ],
      [t("memory.gateway"), part(system.process_memory)],
      server?.kind === "redis" && [
        t("memory.redis"),
        t("memory.redis.value", {
          used: bytes(server.used_memory),
          most: server.max_memory ? bytes(server.max_memory) : t("redis.nolimit"),
        }),
      ],
      ...(warmers ?? []).map((warmer) => [t("memory.warmer", { name: warmer.instance }), bytes(warmer.memory_bytes)]),
    ]),
    words("detail.memory"),
  ];
}

function cpu({ system }) {
  if (!system) return [words("detail.operators")];
  return [
    facts([
      [
        t("cpu.machine"),
        t("cpu.value", { used: percent(system.cpu_percent), n: system.cpus, host: system.host ?? t("unknown") }),
      ],
    ]),
    words("detail.cpu"),
  ];
}

function p99({ requests, postgres, errors }) {
  return [
    facts([
      [t("p99.half"), millis(requests?.p50_ms)],
      [t("p99.most"), millis(requests?.p95_ms)],
      [t("p99.nearly"), millis(requests?.p99_ms)],
      [t("p99.flight"), number(requests?.in_flight)],
      postgres && [
        t("p99.postgres"),
        t(postgres.admits ? "p99.postgres.value" : "p99.postgres.away", {
          used: number(postgres.connections),
          most: number(postgres.max_connections),
          waiting: number(postgres.waiting),
          errors: number(postgres.errors),
        }),
      ],
      errors && [t("p99.slow"), number(errors.slow)],
    ]),
    words("detail.p99"),
  ];
}

function rate({ requests, errors, gateway, now }) {
  return [
    facts([
      [
        t("rate.now"),
        t("rate.value", { rate: number(requests?.per_second, 2), window: duration((requests?.window_s ?? 60) * 1000) }),
      ],
      [
        t("rate.total"),
        t("rate.total.value", { total: number(requests?.total), age: duration(now - gateway.started_at) }),
      ],
      [t("rate.flight"), number(requests?.in_flight)],
      [t("rate.failed"), percent(requests?.failed_percent, 2)],
      errors && [t("rate.shed"), number(errors.shed)],
    ]),
  ];
}

function users({ users: it }) {
  return [words("detail.users", { n: it?.online ?? 0, window: duration((it?.window_s ?? 300) * 1000) })];
}

/** Per tile, what its details consist of. */
export const details = { redis, hit, memory, cpu, p99, rate, users };
