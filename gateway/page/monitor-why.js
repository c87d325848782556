// Why is the hit rate what it is: the sentences behind the tile, from the events of the last hour and what is known now.

import { ago, duration, number, percent, t, time } from "./i18n.js";
import { activeWarmer, hitLevel } from "./monitor-levels.js";

/** Events older than that explain nothing any more, unless what they began still lasts. */
const LOOK_BACK_MS = 3_600_000;

const since = (event, now) => ({ ago: ago(event.at, now), time: time(event.at, false) });

/** The newest event of one of these kinds, unless one of `ended` came later. */
function last(events, kinds, ended = []) {
  const found = events.findLast((event) => kinds.includes(event.kind) || ended.includes(event.kind));
  return found && kinds.includes(found.kind) ? found : null;
}

/** How far the warmer is in filling the cache again; null if that is not known or over. */
export function warmProgress(status) {
  const warmer = activeWarmer(status);
  if (!warmer?.stores || warmer.stores_ready >= warmer.stores) return null;
  return t("why.progress", { ready: number(warmer.stores_ready), stores: number(warmer.stores) });
}

/** What explains a low hit rate, the weightiest first: `[{key, text}]`. May be empty. */
export function causes(status) {
  const { now, redis } = status;
  const events = status.events ?? [];
  const recent = events.filter((event) => now - event.at <= LOOK_BACK_MS);
  const found = [];
  const say = (key, text) => found.push({ key, text });
  if (redis?.state === "offline") say("offline", t("why.offline", { since: duration(now - (redis.since ?? now)) }));
  const restarted = last(recent, ["redis_restarted"]);
  const emptied = last(recent, ["cache_emptied"]);
  if (restarted) say("restarted", t("why.restarted", since(restarted, now)));
  else if (emptied) say("emptied", t("why.emptied", since(emptied, now)));
  const back = last(recent, ["redis_online"], ["redis_offline"]);
  if (back && !restarted && !emptied && redis?.state === "online") say("back", t("why.back", since(back, now)));
  if (redis?.kind === "redis" && redis.state === "online") {
    const warmer = activeWarmer(status);
    if (!warmer) say("no_warmer", t("why.no_warmer"));
    if (warmer?.paused) say("paused", t("why.paused", { since: duration(now - warmer.paused.since) }));
  }
  const evicted = last(recent, ["evictions"]);
  // What was evicted before the cache was lost as a whole explains nothing any more.
  if (evicted && evicted.at > (restarted ?? emptied ?? { at: 0 }).at)
    say("evicted", t("why.evicted", { n: evicted.params?.count ?? 0, ...since(evicted, now) }));
  const begun = last(recent, ["gateway_started"]);
  if (begun && !found.length && now - begun.at < 600_000) say("started", t("why.started", since(begun, now)));
  return found;
}

/** So few answers that one more or less changes the level: no reason to wake anybody. */
export function fewAnswers(status) {
  const sum = (status.levels ?? []).reduce((total, level) => total + (level.requests ?? 0), 0);
  return sum < 10 ? sum : null;
}

/** The whole explanation, a list of sentences: how the rate is, what happened, how far things are. */
export function explainHits(status) {
  const percentage = status.requests?.hit_percent ?? null;
  const level = hitLevel(percentage);
  if (level === "none") return [t("why.no_requests")];
  const sentences = [t(`why.is.${level}`, { hit: percent(percentage) })];
  const few = fewAnswers(status);
  if (few !== null) sentences.push(t("why.few", { n: few }));
  const events = status.events ?? [];
  const fell = last(events, ["hit_rate_fell"], ["hit_rate_recovered"]);
  if (fell) {
    sentences.push(
      t("why.fell", { from: percent(fell.params?.from), to: percent(fell.params?.to), ...since(fell, status.now) }),
    );
  }
  const found = level === "good" && !fell ? recovered(status) : causes(status).map((cause) => cause.text);
  sentences.push(...found);
  const progress = warmProgress(status);
  if (progress && (level !== "good" || found.length > 0)) sentences.push(progress);
  if (level !== "good" && found.length === 0) sentences.push(t("why.unknown"));
  return sentences;
}

/** A rate that is good again, after something that made it fall within the hour. */
function recovered(status) {
  const event = last(status.events ?? [], ["redis_restarted", "cache_emptied"]);
  if (!event || status.now - event.at > LOOK_BACK_MS) return [];
  const key = event.kind === "redis_restarted" ? "why.restarted" : "why.emptied";
  // Over only when every store is warm again.
  return [t(warmProgress(status) ? key : `${key}.over`, since(event, status.now))];
}
