// Where Lastgood tells people things by itself: Alertmanager, Grafana, a daily summary; as schema pieces of the
// configuration file. Enters: parsed YAML. Leaves: camelCase settings; undefined = off.
import { validate } from "node-cron";
import { z } from "zod";
import { isPlainUrl } from "../../ingest/contract/plain-url.ts";
import { secretText } from "../../ingest/contract/settings.ts";
import { duration } from "../../runtime/units.ts";

export interface AlertmanagerSettings {
  /** Without a slash at the end; each gets everything. */
  readonly urls: readonly string[];
  readonly basicAuth: { readonly username: string; readonly password: string } | undefined;
  /** As written; load.ts makes it absolute. Read anew for each request. */
  readonly bearerTokenFile: string | undefined;
  /** For one request. */
  readonly timeoutMs: number;
  /** Put on every alert, such as which installation it comes from. */
  readonly labels: Readonly<Record<string, string>>;
}

export interface GrafanaSettings {
  /** Without a slash at the end. */
  readonly url: string;
  readonly token: string;
  readonly timeoutMs: number;
}

export interface SummarySettings {
  readonly webhook: string;
  /** A cron expression of five fields. */
  readonly at: string;
  /** IANA name. */
  readonly timezone: string;
}

export const OUTLET_TIMEOUT_MS_LEAST = 100;
export const OUTLET_TIMEOUT_MS_MAX = 30_000;
/** Alertmanagers of one cluster: more than a handful is a mistake. */
export const ALERTMANAGERS_MAX = 10;
export const OUTLET_LABELS_MAX = 20;
/** Lastgood sets these itself. */
const OWN_LABELS = ["alertname", "severity", "service", "app", "channel", "version", "reason"];

const NOT_A_URL = "must be an http:// or https:// address";
const NOT_PLAIN = "must be http(s)://host[:port][/path], without user, query or fragment";

const plainUrl = z
  .url({ protocol: /^https?$/, error: NOT_A_URL })
  .refine(isPlainUrl, { error: NOT_PLAIN })
  .transform((url) => url.replace(/\/+$/, ""));

const timeout = duration
  .refine((ms) => ms >= OUTLET_TIMEOUT_MS_LEAST && ms <= OUTLET_TIMEOUT_MS_MAX, {
    error: "must be from 100ms to 30s",
  })
  .prefault("5s");

/** An empty text is as good as leaving it out: containers pass unset variables on as empty. */
const emptyOr = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (value === "" ? undefined : value), schema.optional()).optional();

export const externalUrlSchema = emptyOr(plainUrl);

const labelsSchema = z
  .record(
    z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, {
      error: "use letters, digits and underscore, and do not start with a digit",
    }),
    z.string().min(1),
  )
  .refine((labels) => Object.keys(labels).length <= OUTLET_LABELS_MAX, {
    error: `name at most ${OUTLET_LABELS_MAX} labels`,
  })
  .superRefine((labels, context) => {
    for (const name of Object.keys(labels))
      if (OWN_LABELS.includes(name))
        context.addIssue({
          code: "custom",
          path: [name],
          message: "Lastgood sets this label itself: take it out",
        });
  })
  .prefault({});

export const alertmanagerSchema = z
  .strictObject({
    url: emptyOr(plainUrl),
    urls: z.array(plainUrl).min(1).max(ALERTMANAGERS_MAX).optional(),
    basic_auth: z.strictObject({ username: z.string().min(1), password: z.string().min(1) }).optional(),
    bearer_token_file: z.string().min(1).optional(),
    timeout,
    labels: labelsSchema,
  })
  .superRefine(({ url, urls, basic_auth, bearer_token_file }, context) => {
    const refuse = (field: string, message: string): void =>
      context.addIssue({ code: "custom", path: [field], message });
    if (url !== undefined && urls !== undefined)
      refuse("urls", "alertmanager.url is set too: keep url for one server, or urls for several");
    if (basic_auth !== undefined && bearer_token_file !== undefined)
      refuse("bearer_token_file", "alertmanager.basic_auth is set too: keep one of the two");
  })
  .optional()
  .transform((section): AlertmanagerSettings | undefined => {
    if (section === undefined) return undefined;
    const urls = section.urls ?? (section.url === undefined ? [] : [section.url]);
    if (urls.length === 0) return undefined;
    return {
      urls,
      basicAuth: section.basic_auth,
      bearerTokenFile: section.bearer_token_file,
      timeoutMs: section.timeout,
      labels: section.labels,
    };
  });

export const grafanaSchema = z
  .strictObject({ url: emptyOr(plainUrl), token: z.union([z.literal(""), secretText]).optional(), timeout })
  .superRefine(({ url, token }, context) => {
    if (url !== undefined && (token === undefined || token === ""))
      context.addIssue({
        code: "custom",
        path: ["token"],
        message: "is missing: name the token of a Grafana service account that may write annotations",
      });
  })
  .optional()
  .transform((section): GrafanaSettings | undefined =>
    section?.url === undefined
      ? undefined
      : { url: section.url, token: section.token ?? "", timeoutMs: section.timeout },
  );

export const summarySchema = z
  .strictObject({
    webhook: emptyOr(z.url({ protocol: /^https?$/, error: NOT_A_URL })),
    at: z
      .string()
      .refine((text) => text.trim().split(/\s+/).length === 5 && validate(text), {
        error:
          "not a cron expression: write minute, hour, day of month, month, day of week, such as 0 8 * * *",
      })
      .prefault("0 8 * * *"),
    timezone: z
      .string()
      .refine(isTimezone, { error: "not a time zone: write its IANA name, such as Europe/Berlin" })
      .prefault("UTC"),
  })
  .optional()
  .transform((section): SummarySettings | undefined =>
    section?.webhook === undefined
      ? undefined
      : { webhook: section.webhook, at: section.at, timezone: section.timezone },
  );

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
