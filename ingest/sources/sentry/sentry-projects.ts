// Which project an envelope is for, and whether it may come in. Pure. Enters: the configured apps; of a request what it
// says of its key. Leaves: the project with its app, or a Problem. The key stands in every app's package: it names the
// sender, and keeps strays away, no more.
import type { IncomingHttpHeaders } from "node:http";
import type { IngestAppSettings } from "../../config.ts";
import type { AppId } from "../../contract/release-key.ts";
import { parseDsn } from "../../contract/sources/sentry.ts";
import type { SentryProject, SentrySource } from "../../contract/sources/sentry.ts";
import { problem } from "../../problems.ts";

export interface ServedProject {
  readonly id: string;
  readonly app: AppId;
  readonly settings: IngestAppSettings;
  readonly source: SentrySource;
  readonly project: SentryProject;
}

export type ServedProjects = ReadonlyMap<string, ServedProject>;

export function servedProjects(apps: ReadonlyMap<AppId, IngestAppSettings>): ServedProjects {
  const served = new Map<string, ServedProject>();
  for (const [app, settings] of apps) {
    const source = settings.sources?.sentry;
    if (source === undefined) continue;
    for (const [id, project] of source.projects) served.set(id, { id, app, settings, source, project });
  }
  return served;
}

/** Where a key may stand besides the envelope itself. */
export interface KeyPlaces {
  readonly query: unknown;
  readonly headers: IncomingHttpHeaders;
}

/** Every key that the request names; proxies and SDKs send it in one place or in two. */
function keysIn({ query, headers }: KeyPlaces): unknown[] {
  const auth = headers["x-sentry-auth"];
  return [
    query,
    keyInHeader(typeof auth === "string" ? auth : undefined),
    keyInHeader(headers.authorization),
  ].filter((key) => key !== undefined);
}

const SENTRY_AUTH = /^Sentry\s+(.*)$/i;

/** `Sentry sentry_version=7, sentry_key=…`; undefined for another scheme. */
function keyInHeader(header: string | undefined): string | undefined {
  const fields = header === undefined ? undefined : SENTRY_AUTH.exec(header)?.[1];
  return fields
    ?.split(",")
    .map((field) => field.trim())
    .find((field) => field.startsWith("sentry_key="))
    ?.slice("sentry_key=".length);
}

/** Before the body is read. Whether a key was there: else the envelope has to name it. */
export function admit(
  served: ServedProjects,
  id: string,
  places: KeyPlaces,
): { readonly project: ServedProject; readonly hasKey: boolean } {
  const keys = keysIn(places);
  const project = served.get(id);
  if (project === undefined || keys.some((key) => key !== project.project.key)) throw unknownDsn();
  return { project, hasKey: keys.length > 0 };
}

/** When the envelope's header is known. A DSN in it must be the same, wherever else a key stands. */
export function checkDsn(
  { id, project }: ServedProject,
  { dsn, hasKey }: { readonly dsn: unknown; readonly hasKey: boolean },
): void {
  if (dsn === undefined || dsn === null) {
    if (hasKey) return;
    throw problem(
      "missing_credentials",
      "Send the public key of the DSN: in the query as sentry_key, in X-Sentry-Auth, or as dsn in the envelope's header.",
    );
  }
  const parsed = typeof dsn === "string" ? parseDsn(dsn) : undefined;
  if (parsed?.project !== id || parsed.key !== project.key) throw unknownDsn();
}

function unknownDsn(): Error {
  return problem(
    "unknown_dsn",
    "No project here has this number and this public key: compare the DSN with sources.sentry.projects in the configuration.",
  );
}
