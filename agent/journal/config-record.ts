// What became of a configuration file, as it is kept in the journal: once for each content in a row, however often it is
// looked at, by however many agents, across restarts. Field names are a promise to users.
import type { Redis } from "../../runtime/redis.ts";
import { CONFIG_STAGE } from "./control-keys.ts";
import type { Journal, JournalOperation } from "./journal.ts";

export interface ConfigRecord {
  readonly stage: "applied" | "refused";
  /** Of the file's bytes; null = it can't be read. */
  readonly sha256: string | null;
  /** `file:line:column: place: message`, without anything of the file's text. */
  readonly problems: readonly string[];
  /** Names of settings that changed. */
  readonly applied: readonly string[];
  /** Names of settings that stay as they are until the next start. */
  readonly needsRestart: readonly string[];
}

/** A file that is refused now. */
export interface RefusedConfig {
  /** RFC 3339. */
  readonly since: string;
  readonly problems: readonly string[];
}

export interface ConfigJournal {
  keep(record: ConfigRecord, nowMs: number): Promise<void>;
  /** Undefined while the file that was looked at last is right. */
  refused(): Promise<RefusedConfig | undefined>;
}

export function createConfigJournal({ redis, journal }: { redis: Redis; journal: Journal }): ConfigJournal {
  return {
    async keep({ stage, sha256, problems, applied, needsRestart }, nowMs) {
      const field = `${stage}:${sha256 ?? "unreadable"}`;
      const at = new Date(nowMs).toISOString();
      const before = (await redis.hkeys(CONFIG_STAGE)).filter((known) => known !== field);
      const forget = before.map((known): JournalOperation => ({
        op: "delete",
        key: CONFIG_STAGE,
        field: known,
      }));
      const body = { stage, sha256, problems, applied, needs_restart: needsRestart };
      await journal.append({ kind: "config", at, body }, [
        { op: "absent", key: CONFIG_STAGE, field },
        ...forget,
        { op: "set", key: CONFIG_STAGE, field, value: JSON.stringify({ since: at, problems }) },
      ]);
    },
    async refused() {
      const row = Object.entries(await redis.hgetall(CONFIG_STAGE)).find(([field]) =>
        field.startsWith("refused:"),
      );
      return row === undefined ? undefined : (JSON.parse(row[1]) as RefusedConfig);
    },
  };
}
