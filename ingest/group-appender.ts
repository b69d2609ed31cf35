// Group commit: what requests that come in together append goes to Redis together, as one pipeline. Enters: entries of
// one request. Leaves: as from the appender behind it, once Redis has all entries of the group; a request is never
// acknowledged before its own are there. Under load this is most of what makes single reports cheap: one system call,
// one answer and few commands for many requests, and reports of one shard in one stream entry.
import { isOfOneTime, isReportEntry, joinReportEntries } from "./contract/report-entry.ts";
import type { EntriesByShard, EntryAppender, EntryFields, StreamLengths } from "./entry-appender.ts";

/** Groups that may be under way: while Redis works on one, the next can be on its way. */
export const GROUPS_UNDER_WAY_MAX = 2;
/** Small entries of one shard and one time are joined as long as they are shorter than this, in characters of JSON. */
export const JOINED_ENTRY_CHARS_MAX = 32_768;

interface Waiting {
  readonly entries: EntriesByShard;
  readonly resolve: (lengths: StreamLengths) => void;
  readonly reject: (error: unknown) => void;
}

/** All that is of a group shares its fate: the senders of one that failed have to send again. */
export function createGroupAppender(appender: EntryAppender): EntryAppender {
  let waiting: Waiting[] = [];
  let underWay = 0;
  let isDue = false;

  const commit = (): void => {
    isDue = false;
    if (waiting.length === 0 || underWay >= GROUPS_UNDER_WAY_MAX) return;
    const group = waiting;
    waiting = [];
    underWay += 1;
    const over = (tell: (one: Waiting) => void): void => {
      underWay -= 1;
      group.forEach(tell);
      if (waiting.length > 0) commit();
    };
    appender.append(joinEntries(group.map(({ entries }) => entries))).then(
      (lengths) => over(({ resolve }) => resolve(lengths)),
      (error: unknown) => over(({ reject }) => reject(error)),
    );
  };

  return {
    append: (entries) =>
      new Promise((resolve, reject) => {
        waiting.push({ entries, resolve, reject });
        if (isDue || underWay >= GROUPS_UNDER_WAY_MAX) return;
        isDue = true;
        // After what else has come in by now has been read.
        setImmediate(commit);
      }),
  };
}

/** Of one shard as few entries as may be, in the order in which they came. */
export function joinEntries(parts: readonly EntriesByShard[]): EntriesByShard {
  const [first, ...others] = parts;
  if (first === undefined || others.length === 0) return first ?? new Map();
  const joined = new Map<number, EntryFields[]>();
  for (const part of parts)
    for (const [shard, entries] of part) {
      const ofShard = joined.get(shard);
      if (ofShard === undefined) joined.set(shard, [...entries]);
      else for (const entry of entries) addEntry(ofShard, entry);
    }
  return joined;
}

function addEntry(ofShard: EntryFields[], entry: EntryFields): void {
  const last = ofShard.at(-1)!;
  const isJoined =
    isReportEntry(last) &&
    isReportEntry(entry) &&
    isOfOneTime(last, entry) &&
    last[5].length + entry[5].length <= JOINED_ENTRY_CHARS_MAX;
  if (isJoined) ofShard[ofShard.length - 1] = joinReportEntries(last, entry);
  else ofShard.push(entry);
}
