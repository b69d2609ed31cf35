// One fuzz target for each parser that something outside reaches: near-valid requests to the whole ingest app, on a real
// Redis, and near-valid configuration files. Enters: an app, or nothing. Leaves: targets, each with what it sends and what
// every answer must be: never a crash, never a 5xx, always in the form of that system.
import { readFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import * as fc from "fast-check";
import { loadSettings } from "../../agent/config/load.ts";
import { PROBLEMS, REPORT_CODES } from "../../ingest/problems.ts";
import { capgoEvent } from "./capgo-events.ts";
import { answerOf } from "./in-process-request.ts";
import type { InProcessAnswer } from "./in-process-request.ts";
import { TILL_KEY, sampleReport } from "./ingest-app.ts";
import { damaged, nearlyRightJson, sentAs } from "./mutations.ts";
import type { Sent } from "./mutations.ts";
import { envelopeOf, session } from "./sentry-envelopes.ts";

/** Small, so that a bomb of gzip is one. */
export const FUZZ_BODY_BYTES_MAX = 256 * 1024;

export const FUZZ_SOURCES = {
  capgo: { channel: "production" },
  codepush: { deployments: { KEYA: "production" } },
  expo: { channel: "production" },
  hot_updater: {},
  otlp: { channel: "production" },
  sentry: { projects: { "42": { key: "pub", channel: "production" } } },
};

export interface HttpTarget {
  readonly name: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodies: fc.Arbitrary<Buffer>;
  /** The good answers; others are refusals. */
  readonly good: number;
  /** Throws unless the text is a refusal (or a good answer) as that system's clients know it. */
  readonly check: (answer: InProcessAnswer) => void;
}

const BEARER = { authorization: `Bearer ${TILL_KEY}` };
const FULL_REPORT = sampleReport({
  id: "r-1",
  at: "2026-01-31T12:00:00Z",
  from: "1.3.0",
  reason: "checksum_mismatch",
  crash: { fingerprint: "f", message: "m", type: "TypeError" },
  platform: "android",
  model: "Pixel 8",
  os_version: "15",
  native_version: "4.2.0",
});
const ndjson = fc
  .array(nearlyRightJson([FULL_REPORT, sampleReport()]), { minLength: 1, maxLength: 5 })
  .map((lines) => lines.join("\n"));

const CODEPUSH_REPORT = {
  app_version: "1.2.0",
  deployment_key: "KEYA",
  client_unique_id: "7c1e",
  label: "v12",
  status: "DeploymentSucceeded",
  previous_label_or_app_version: "v11",
  previous_deployment_key: "KEYA",
};
const attributes = (values: Record<string, string>): object[] =>
  Object.entries(values).map(([key, stringValue]) => ({ key, value: { stringValue } }));
const OTLP_LOGS = {
  resourceLogs: [
    {
      resource: { attributes: attributes({ "app.ota.release": "1.4.0", "app.installation.id": "till-1" }) },
      scopeLogs: [
        {
          logRecords: [
            {
              timeUnixNano: "1769860800000000000",
              severityNumber: 21,
              attributes: attributes({ "exception.type": "TypeError", "exception.message": "boom" }),
            },
            { timeUnixNano: "1769860800000000000", eventName: "session.start" },
          ],
        },
      ],
    },
  ],
};
const HOT_UPDATER_EVENT = {
  installId: "i-1",
  platform: "ios",
  appVersion: "3.1.0",
  channel: "production",
  bundleId: "0198c5a2-0000-7000-8000-000000000002",
  status: "STABLE",
};
const EXPO_EVENT = {
  headers: {
    "eas-client-id": "d-1",
    "expo-platform": "android",
    "expo-current-update-id": "11111111-aaaa-4bbb-8ccc-000000000011",
    "expo-recent-failed-update-ids": '"11111111-aaaa-4bbb-8ccc-000000000012"',
  },
  receivedAt: "2026-01-31T11:59:00Z",
};
const SENTRY_EVENT = {
  event_id: "0123456789abcdef0123456789abcdef",
  level: "fatal",
  release: "com.acme.till@1.4.0",
  environment: "production",
  user: { id: "till-1" },
  exception: { values: [{ type: "TypeError", value: "boom", mechanism: { handled: false } }] },
  contexts: { os: { name: "Android", version: "15" } },
};
const DSN_HEADER = { event_id: "0123456789abcdef0123456789abcdef", sent_at: "2026-01-31T12:00:00Z" };
/** Headers and payloads each nearly right, in an order of their own. */
const envelopes = fc
  .tuple(
    nearlyRightJson([DSN_HEADER, {}]),
    fc.array(
      fc.tuple(
        nearlyRightJson([{ type: "session" }, { type: "event" }, { type: "sessions", length: 10 }]),
        nearlyRightJson([session(), SENTRY_EVENT]),
      ),
      { maxLength: 4 },
    ),
    fc.constantFrom("", envelopeOf({}, ["session", session()])),
  )
  .map(([header, items, rest]) => [header, ...items.flat(), rest].join("\n"));

export const HTTP_TARGETS: readonly HttpTarget[] = [
  {
    name: "native JSON",
    path: "/v1/reports",
    headers: { ...BEARER, "content-type": "application/json" },
    bodies: damaged(nearlyRightJson([FULL_REPORT, [FULL_REPORT, sampleReport()], [sampleReport()]])),
    good: 202,
    check: isNative,
  },
  {
    name: "native NDJSON",
    path: "/v1/reports",
    headers: { ...BEARER, "content-type": "application/x-ndjson" },
    bodies: damaged(ndjson),
    good: 202,
    check: isNative,
  },
  {
    name: "Capgo",
    path: "/capgo/stats",
    headers: { "content-type": "application/json" },
    bodies: damaged(
      nearlyRightJson([
        capgoEvent(),
        [capgoEvent(), capgoEvent({ action: "set" }), capgoEvent({ action: "update_fail" })],
      ]),
    ),
    good: 200,
    check: isCapgo,
  },
  {
    name: "CodePush",
    path: "/v0.1/public/codepush/report_status/deploy",
    headers: { "content-type": "application/json", "x-codepush-sdk-version": "4.2.3" },
    bodies: damaged(nearlyRightJson([CODEPUSH_REPORT, { ...CODEPUSH_REPORT, status: "DeploymentFailed" }])),
    good: 200,
    check: isCodePush,
  },
  {
    name: "Sentry envelope",
    path: "/api/42/envelope/?sentry_key=pub&sentry_version=7",
    headers: { "content-type": "text/plain;charset=UTF-8" },
    bodies: damaged(envelopes),
    good: 200,
    check: isSentry,
  },
  {
    name: "OTLP",
    path: "/v1/logs",
    headers: { ...BEARER, "content-type": "application/json" },
    bodies: damaged(nearlyRightJson([OTLP_LOGS])),
    good: 200,
    check: isOtlp,
  },
  {
    name: "hot-updater",
    path: "/hot-updater/reports",
    headers: BEARER,
    bodies: damaged(nearlyRightJson([HOT_UPDATER_EVENT, [HOT_UPDATER_EVENT, HOT_UPDATER_EVENT]])),
    good: 202,
    check: isNative,
  },
  {
    name: "Expo",
    path: "/expo/manifest-requests",
    headers: BEARER,
    bodies: damaged(nearlyRightJson([EXPO_EVENT, [EXPO_EVENT]])),
    good: 202,
    check: isNative,
  },
];

function must(isSo: boolean, what: string, { status, headers, text }: InProcessAnswer): void {
  if (isSo) return;
  throw new Error(`${what}: ${status} ${JSON.stringify(headers)} ${text.slice(0, 300)}`);
}

function typeOf({ headers }: InProcessAnswer): string {
  const type = headers["content-type"];
  return typeof type === "string" ? type : "";
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;

function isNative(answer: InProcessAnswer): void {
  const body = JSON.parse(answer.text) as Record<string, unknown>;
  if (answer.status === 202) {
    const rejected = body["rejected"] as { readonly code: string; readonly index: number }[];
    const isRight = rejected.every(
      ({ code, index }) => (REPORT_CODES as string[]).includes(code) && isCount(index),
    );
    must(isCount(body["accepted"]) && isRight, "not the answer to a batch", answer);
    return;
  }
  const code = String(body["code"]);
  const known = Object.hasOwn(PROBLEMS, code) ? PROBLEMS[code as keyof typeof PROBLEMS] : undefined;
  must(typeOf(answer).startsWith("application/problem+json"), "not problem+json", answer);
  must(known?.status === answer.status, "a code that is none of that status", answer);
}

function isCapgo(answer: InProcessAnswer): void {
  const body = JSON.parse(answer.text) as Record<string, unknown>;
  must(typeof body["status"] === "string" || typeof body["error"] === "string", "not Capgo's", answer);
  must(answer.headers["retry-after"] === undefined, "a word of when to come back", answer);
}

function isCodePush(answer: InProcessAnswer): void {
  must(typeOf(answer).startsWith("text/plain"), "not text", answer);
  must(answer.status !== 200 || answer.text === "OK", "not OK", answer);
}

function isSentry(answer: InProcessAnswer): void {
  const body = JSON.parse(answer.text) as Record<string, unknown>;
  must(answer.status === 200 || typeof body["detail"] === "string", "not Sentry's", answer);
}

function isOtlp(answer: InProcessAnswer): void {
  const body = JSON.parse(answer.text) as Record<string, unknown>;
  const isStatus = isCount(body["code"]) && typeof body["message"] === "string";
  const isSuccess = Object.keys(body).every((key) => key === "partialSuccess");
  must(answer.status === 200 ? isSuccess : isStatus, "not OTLP's", answer);
}

/** The one thing that every target has in common. */
export function checkAnswer(target: Pick<HttpTarget, "good" | "check">, answer: InProcessAnswer): void {
  const isRefusal = answer.status >= 400 && answer.status < 500 && answer.status !== 429;
  must(answer.status === target.good || isRefusal, "neither good nor refused", answer);
  target.check(answer);
  must(Object.keys(Object.prototype).length === 0, "the prototype of all objects was changed", answer);
}

export function httpProperty(
  target: HttpTarget,
  app: RequestListener,
  onCase: (outcome: string) => Promise<void> | void,
): fc.IAsyncProperty<[Sent]> {
  return fc.asyncProperty(sentAs(target.bodies), async ({ bytes, encoding }) => {
    const answer = await answerOf(app, {
      method: "POST",
      path: target.path,
      headers: {
        ...target.headers,
        ...(encoding === undefined ? {} : { "content-encoding": encoding }),
      },
      body: bytes,
    });
    checkAnswer(target, answer);
    await onCase(String(answer.status));
  });
}

const EXAMPLE = readFileSync(new URL("../../lastgood.example.yaml", import.meta.url), "utf8");
const YAML_LINES = EXAMPLE.split("\n").filter((line) => !/^\s*(#|$)/.test(line));
const HOSTILE_LINES = [
  "__proto__: { polluted: 1 }",
  "  constructor: { prototype: { polluted: 1 } }",
  "  ? [a, b]\n  : c",
  "\t- tab",
  "a: &a [*a, *a]",
  "b: &b [x, x, x, x, x, x, x, x, x]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c, *c]",
  "<<: *nowhere",
  "--- second document",
  "!!js/function 'x'",
  `deep: ${"[".repeat(2_000)}${"]".repeat(2_000)}`,
  "shards: 1e999",
  "shards: 0x10",
  "log_level: ${NOWHERE}",
  "log_level: ${A:-${B}}",
  "data_dir: \u0000",
  "data_dir: '\\ud800'",
  "key without colon",
  "': unclosed",
  "1: 2",
  "null: null",
  "  policy: [standard",
] as const;

const at = fc.nat({ max: 10_000 });
const lineChange = fc.record({
  kind: fc.constantFrom("remove", "repeat", "swap", "indent", "hostile", "value", "key"),
  at,
  other: at,
});

const HOSTILE_SCALARS = [
  "null",
  "~",
  "[]",
  "{}",
  "-1",
  "1e400",
  "'\\n'",
  "*a",
  "&a x",
  "!!binary aGk=",
  "${HOME}",
  "__proto__",
];

function changedLines(changes: readonly { kind: string; at: number; other: number }[]): string {
  const lines = [...YAML_LINES];
  for (const { kind, at: first, other } of changes) {
    const index = first % Math.max(lines.length, 1);
    const line = lines[index] ?? "";
    const scalar = HOSTILE_SCALARS[other % HOSTILE_SCALARS.length]!;
    if (kind === "remove") lines.splice(index, 1);
    else if (kind === "repeat") lines.splice(index, 0, line);
    else if (kind === "swap") lines[index] = lines[other % lines.length] ?? "";
    else if (kind === "indent") lines[index] = " ".repeat(other % 9) + line.trimStart();
    else if (kind === "hostile") lines.splice(index, 0, HOSTILE_LINES[other % HOSTILE_LINES.length]!);
    else if (kind === "value") lines[index] = line.replace(/:.*$/, `: ${scalar}`);
    else lines[index] = line.replace(/[^\s:]+:/, `${scalar}:`);
  }
  return lines.join("\n");
}

const yamlTexts = fc.array(lineChange, { maxLength: 5 }).map(changedLines);

/** A configuration file: either loaded, or refused with a place for each mistake; never a crash. */
export function configProperty(onCase: (outcome: string) => void): fc.IProperty<[Buffer]> {
  return fc.property(damaged(yamlTexts), (bytes) => {
    const result = loadSettings({ file: "/etc/lastgood.yaml", text: bytes.toString("utf8"), env: {} });
    if (result.kind === "invalid") {
      if (result.problems.length === 0) throw new Error("refused without a mistake");
      for (const { line, column, message } of result.problems)
        if (!(line >= 1 && column >= 1 && message !== ""))
          throw new Error(`a mistake without a place: ${line}:${column}: ${message}`);
    }
    if (Object.keys(Object.prototype).length > 0) throw new Error("the prototype of all objects was changed");
    onCase(result.kind);
  });
}
