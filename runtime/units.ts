// Units that people write in configuration files, as schema types: durations (`90s`, `10m`, `6h`, `7d`),
// ratios (`5%`, `0.05`), byte sizes (`5MiB`) and listen addresses. Each leaves as one number or record.
import { z } from "zod";

const MS_PER_UNIT = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

const NOT_A_DURATION = "not a duration: write a number and ms, s, m, h or d, such as 90s or 6h";
const NOT_AN_ADDRESS = "not an address: write host:port, such as 127.0.0.1:8080";

/** A number where text with a unit belongs gets the sentence on the unit; what is absent stays "missing". */
function textElse(message: string): z.ZodString {
  return z.string({ error: (issue) => (issue.input === undefined ? undefined : message) });
}

/** Text such as `90s`; leaves as milliseconds. */
export const duration = textElse(NOT_A_DURATION).transform((value, context) => {
  const match = DURATION.exec(value.trim());
  if (match === null) {
    context.addIssue({ code: "custom", message: NOT_A_DURATION });
    return z.NEVER;
  }
  return Number(match[1]) * MS_PER_UNIT[match[2] as keyof typeof MS_PER_UNIT];
});

/** `5%` or `0.05`; leaves as a ratio in [0, 1]. */
export const ratio = z.union([z.string(), z.number()]).transform((value, context) => {
  const match = typeof value === "string" ? /^(\d+(?:\.\d+)?)\s*%$/.exec(value.trim()) : null;
  const result = typeof value === "number" ? value : match === null ? Number.NaN : Number(match[1]) / 100;
  if (!(result >= 0 && result <= 1)) {
    context.addIssue({ code: "custom", message: `not a share: write 0% to 100%, or a number from 0 to 1` });
    return z.NEVER;
  }
  return result;
});

const BYTES_PER_UNIT = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** `5MiB` or a number of bytes; leaves as bytes. */
export const byteSize = z.union([z.string(), z.int()]).transform((value, context) => {
  if (typeof value === "number" && value >= 0) return value;
  const match = /^(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB)$/.exec(String(value).trim());
  if (match === null) {
    context.addIssue({
      code: "custom",
      message: `not a size: write a number and B, KiB, MiB or GiB, such as 5MiB`,
    });
    return z.NEVER;
  }
  return Math.floor(Number(match[1]) * BYTES_PER_UNIT[match[2] as keyof typeof BYTES_PER_UNIT]);
});

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** As a URL has it: IPv6 in brackets. */
export function hostAndPort({ host, port }: ListenAddress): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Where this machine reaches what listens there: what listens everywhere listens on loopback, too. */
export function reachedLocally({ host, port }: ListenAddress): ListenAddress {
  return { host: host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host, port };
}

/** `127.0.0.1:8080`, `[::1]:8080` or `:8080` (every address); port 0 takes a free one. */
export const listenAddress = textElse(NOT_AN_ADDRESS).transform((value, context): ListenAddress => {
  const match = /^(\[[0-9a-fA-F:]+\]|[^:[\]]*):(\d{1,5})$/.exec(value.trim());
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) {
    context.addIssue({ code: "custom", message: NOT_AN_ADDRESS });
    return z.NEVER;
  }
  const host = match[1]!.replace(/^\[|\]$/g, "");
  return { host: host === "" ? "0.0.0.0" : host, port };
});

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** `1.2 s`, `4 min 5 s`, `2 h 3 min`: for people. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(ms / 60_000);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
