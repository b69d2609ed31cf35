// The page job: what stands now -> Alertmanager. One look: read what stands, tell what is new or changed at once, what
// stands again every half minute, and what is over once. Everything it rests on is in Redis, so any agent may do it.
// While no Alertmanager answers nothing is lost: each look tries again.
import { formatChannelKey } from "../../ingest/contract/release-key.ts";
import type { ProofCounts } from "../../ingest/contract/device-proofs.ts";
import type { ChannelKey } from "../../ingest/contract/release-key.ts";
import type { HoldStore } from "../journal/hold-store.ts";
import type { SummaryStore } from "../journal/summary-store.ts";
import { ALERTS_PER_POST_MAX } from "../paging/alertmanager.ts";
import type { Alertmanager, PostResult, ServerAnswer } from "../paging/alertmanager.ts";
import type { PageSnapshot, PagedConfig, PagedDecision, PagedFreeze } from "../paging/page-snapshot.ts";
import type { PageStore } from "../paging/page-store.ts";
import { planPosts } from "../paging/plan-posts.ts";
import type { KeptPage, PostPlan } from "../paging/plan-posts.ts";
import { standingPages } from "../paging/standing-pages.ts";

export interface SnapshotDeps {
  readonly holds: Pick<HoldStore, "list">;
  readonly decisions: {
    list(): Promise<readonly PagedDecision[]>;
    listPending(): Promise<readonly string[]>;
  };
  readonly summaries: Pick<SummaryStore, "list" | "listSuspects" | "readChannel">;
  /** Freezes that were set and not lifted. */
  readonly listFreezes: () => Promise<readonly PagedFreeze[]>;
  /** Undefined while the configuration file is right. */
  readonly readRefusedConfig: () => Promise<PagedConfig | undefined>;
  /** Reports with and without the proof that devices owe, by app. */
  readonly readProofs: (nowMs: number) => Promise<ReadonlyMap<string, ProofCounts>>;
  /** OTA servers that are polled and can't be read, by app. */
  readonly readUnread: () => Promise<NonNullable<PageSnapshot["unread"]>>;
  readonly channels: readonly { readonly key: ChannelKey }[];
}

export interface PageDeps extends SnapshotDeps {
  readonly pages: PageStore;
  readonly alertmanager: Alertmanager;
  /** Each answer of each server. */
  readonly onAnswer: (answer: ServerAnswer) => void;
  readonly nowMs: number;
}

export async function tellPages(deps: PageDeps): Promise<void> {
  const { pages, nowMs } = deps;
  const [snapshot, kept] = await Promise.all([readSnapshot(deps, nowMs), pages.list()]);
  const plan = planPosts({ standing: standingPages(snapshot), kept, nowMs });
  // Before anything is sent: what is told must be known as told, or nobody would ever say that it is over.
  await pages.keep(plan.standing.filter(({ page }) => !kept.has(page.key)));
  await pages.remove(plan.forgotten);
  await sendDue(plan, deps);
  await sendEnded(plan, deps);
}

async function sendDue({ due }: PostPlan, deps: PageDeps): Promise<void> {
  for (const group of inGroups(due)) {
    if ((await send(group, deps)) !== "taken") continue;
    await deps.pages.keep(group.map((each) => ({ ...each, takenAtMs: deps.nowMs })));
  }
}

async function sendEnded({ ended }: PostPlan, deps: PageDeps): Promise<void> {
  await deps.pages.keep(ended);
  for (const group of inGroups(ended))
    if ((await send(group, deps)) === "taken") await deps.pages.remove(group.map(({ page }) => page.key));
}

async function send(group: readonly KeptPage[], deps: PageDeps): Promise<PostResult> {
  const answers = await deps.alertmanager.post(group, deps.nowMs);
  answers.forEach(deps.onAnswer);
  return answers.some(({ result }) => result === "taken") ? "taken" : "unavailable";
}

function inGroups(pages: readonly KeptPage[]): KeptPage[][] {
  const count = Math.ceil(pages.length / ALERTS_PER_POST_MAX);
  return Array.from({ length: count }, (_, index) =>
    pages.slice(index * ALERTS_PER_POST_MAX, (index + 1) * ALERTS_PER_POST_MAX),
  );
}

async function readSnapshot(deps: SnapshotDeps, nowMs: number): Promise<PageSnapshot> {
  const { holds, decisions, summaries, channels } = deps;
  const [held, decided, pending, freezes, refusedConfig, suspects, proofs, unread] = await Promise.all([
    holds.list(),
    decisions.list(),
    decisions.listPending(),
    deps.listFreezes(),
    deps.readRefusedConfig(),
    summaries.listSuspects(),
    deps.readProofs(nowMs),
    deps.readUnread(),
  ]);
  const seen = await Promise.all(
    channels.map(async ({ key }) => [formatChannelKey(key), await summaries.readChannel(key)] as const),
  );
  // Every release's summary is much to read every few seconds, and mostly nobody wants to know.
  const areReleasesWanted =
    freezes.some(({ scope }) => scope === "all") || decided.some(({ action }) => action === "page");
  const all = areReleasesWanted ? await summaries.list() : [];
  return {
    nowMs,
    holds: held,
    decisions: decided,
    pending: new Set(pending),
    watched: new Set(channels.map(({ key }) => formatChannelKey(key))),
    channels: new Map(seen.flatMap(([key, summary]) => (summary === undefined ? [] : [[key, summary]]))),
    releases: all.map(({ verdict }) => ({
      release: verdict.release,
      kind: verdict.kind,
      sentence: verdict.sentence,
    })),
    freezes,
    refusedConfig,
    suspects,
    proofs,
    unread,
  };
}
