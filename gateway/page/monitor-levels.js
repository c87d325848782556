// Which level a figure has: the limits of the replaced panel, in one place.

const under = (value, good, watch) =>
  value === null || value === undefined ? "none" : value < good ? "good" : value < watch ? "watch" : "bad";
const over = (value, good, watch) =>
  value === null || value === undefined ? "none" : value >= good ? "good" : value >= watch ? "watch" : "bad";

export const hitLevel = (percent) => over(percent, 90, 70);
export const memoryLevel = (percent) => under(percent, 70, 85);
export const cpuLevel = (percent) => under(percent, 60, 80);
export const p99Level = (ms) => under(ms, 100, 500);

/** Of Redis: bad when it does not answer, watch when there is something to see to. An outage that is over shows in the share of checks. */
export function redisLevel(redis) {
  if (redis?.state === "offline") return "bad";
  if (redis?.state !== "online") return "none";
  return redis.warnings?.length ? "watch" : "good";
}

/** The levels of all tiles. Requests and users are neither good nor bad. */
export function levels(status) {
  const { redis, requests, system } = status;
  return {
    redis: redisLevel(redis),
    hit: hitLevel(requests?.hit_percent),
    memory: memoryLevel(system?.memory_percent),
    cpu: cpuLevel(system?.cpu_percent),
    p99: p99Level(requests?.p99_ms),
    rate: "none",
    users: "none",
  };
}

/** The warmer that writes, or null. */
export const activeWarmer = (status) => status.warmers?.find((warmer) => warmer.role === "active") ?? null;
