// The summary job: sends the daily summaries that are due, each once, and tries for an hour when the webhook does not
// take one. Enters: the stores. Leaves: `{"text", "summary"}` at the webhook.
import type { Logger } from "../../runtime/logger.ts";
import { summarise, toText } from "../paging/daily-summary.ts";
import type { SummaryInput } from "../paging/daily-summary.ts";
import { minuteMs } from "../paging/daily-summary-store.ts";
import type { DailySummaryStore } from "../paging/daily-summary-store.ts";
import { callJson, describeAnswer } from "../paging/post-json.ts";

/** After that yesterday's news is not worth a message any more, in milliseconds. */
export const TRY_FOR_MS = 3_600_000;
export const SUMMARY_TIMEOUT_MS = 10_000;

export interface SendSummaryDeps {
  readonly store: DailySummaryStore;
  readonly webhook: string;
  readonly readInput: (nowMs: number) => Promise<SummaryInput>;
  readonly nowMs: number;
  readonly logger: Logger;
}

export async function sendDueSummaries(deps: SendSummaryDeps): Promise<void> {
  for (const minute of await deps.store.listDue())
    if ((await deps.store.begin(minute, deps.nowMs)) === "begun") await sendOne(minute, deps);
}

async function sendOne(minute: string, deps: SendSummaryDeps): Promise<void> {
  const { store, nowMs, logger } = deps;
  const failed = await post(deps);
  if (failed === undefined) return store.end(minute, "sent");
  if (failed.sent === "unknown") {
    logger.warn(`the daily summary may not have arrived: ${failed.detail}; it is not sent twice`);
    return store.end(minute, "sent");
  }
  if (nowMs - minuteMs(minute) < TRY_FOR_MS) {
    logger.debug(`the daily summary could not be sent yet: ${failed.detail}`);
    return store.undo(minute);
  }
  logger.error(`the daily summary was not sent: ${failed.detail}; see that summary.webhook is right`);
  await store.end(minute, "given_up");
}

async function post({
  webhook,
  readInput,
  nowMs,
}: SendSummaryDeps): Promise<{ sent: "not_sent" | "unknown"; detail: string } | undefined> {
  const input = await readInput(nowMs);
  const summary = summarise(input);
  const answer = await callJson({
    method: "POST",
    url: new URL(webhook),
    body: { text: toText(summary, input.externalUrl), summary },
    timeoutMs: SUMMARY_TIMEOUT_MS,
  });
  if (answer.kind === "unavailable") return answer;
  if (answer.status >= 200 && answer.status < 300) return undefined;
  return { sent: "not_sent", detail: describeAnswer(answer) };
}
