// Mender's management API as far as Lastgood needs it: one method per call, each answer checked against the form that the
// server documents. Enters: base URL, token, ids. Leaves: values, or why there are none; nothing here decides or repeats.
import { z } from "zod";
import type { Clock } from "../../../runtime/clock.ts";
import { notDone, parseJson, unreadable } from "../http-answer.ts";
import type { NamedAnswer } from "../http-answer.ts";
import { createNamedCall, jsonBody } from "../named-call.ts";
import type { Refused, Unavailable } from "../ota-server.ts";

/** Entries of one page of a list. A device's entry holds its whole artifact: more would be more than is read of an answer. */
export const MENDER_PER_PAGE = 100;

const BASE = "/api/management/v1/deployments/deployments";

export interface MenderApiOptions {
  /** Without a slash at the end. */
  readonly url: string;
  /** A user's session or a personal access token. */
  readonly token: string;
  /** For one request, in milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Lastgood's own version, for the user agent. */
  readonly productVersion?: string;
  readonly fetch?: typeof fetch;
}

const time = z.iso.datetime({ offset: true });

const deploymentSchema = z.object({
  id: z.string().min(1),
  name: z.string(),
  artifact_name: z.string(),
  created: time,
  finished: time.nullish(),
  status: z.string(),
  type: z.string().nullish(),
  groups: z.array(z.string()).nullish(),
  max_devices: z.number().nullish(),
  statistics: z.object({ status: z.record(z.string(), z.number()).nullish() }).nullish(),
});
export type MenderDeployment = z.infer<typeof deploymentSchema>;

const deviceSchema = z.object({
  /** The device's id. */
  id: z.string().min(1),
  status: z.string(),
  started: time.nullish(),
  finished: time.nullish(),
  substate: z.string().nullish(),
  image: z.object({ device_types_compatible: z.array(z.string()).nullish() }).nullish(),
});
export type MenderDevice = z.infer<typeof deviceSchema>;

// Version 1 of the list of releases writes its names with a capital.
const releaseSchema = z.union([
  z.object({ Name: z.string() }).transform(({ Name }) => Name),
  z.object({ name: z.string() }).transform(({ name }) => name),
]);

export interface Page<T> {
  readonly kind: "page";
  readonly items: readonly T[];
  readonly isLast: boolean;
  /** Of the whole list; undefined when the server does not say. */
  readonly total: number | undefined;
}

export interface NewMenderDeployment {
  readonly name: string;
  readonly artifactName: string;
  readonly devices: readonly string[];
}

export interface MenderApi {
  /** Newest first. */
  listDeployments(
    page: number,
    status?: "inprogress",
  ): Promise<Page<MenderDeployment> | Refused | Unavailable>;
  /** Null when there is none. */
  readDeployment(
    id: string,
  ): Promise<
    { readonly kind: "deployment"; readonly deployment: MenderDeployment | null } | Refused | Unavailable
  >;
  /** Sorted by status and device: an entry moves when its status changes. `gone` = there is no such deployment. */
  listDevices(
    deploymentId: string,
    page: number,
    status?: string,
  ): Promise<Page<MenderDevice> | { readonly kind: "gone" } | Refused | Unavailable>;
  hasRelease(
    artifactName: string,
  ): Promise<{ readonly kind: "release"; readonly exists: boolean } | Refused | Unavailable>;
  /** `over` = it had ended before. */
  abort(deploymentId: string): Promise<{ readonly kind: "aborted" | "over" } | Refused | Unavailable>;
  /** `exists` = a running deployment of the very same form is there already. */
  create(
    deployment: NewMenderDeployment,
  ): Promise<{ readonly kind: "created" | "exists" } | Refused | Unavailable>;
}

interface Sent {
  readonly method: "GET" | "POST" | "PUT";
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}
type Send = (sent: Sent) => Promise<NamedAnswer | Unavailable>;

const REMEDIES: Readonly<Record<number, string>> = {
  401: "; check ota_server.token: a personal access token of a user of this server that has not expired",
  403: "; give the token's user a role that may read and make deployments",
  404: "; check ota_server.url",
};

export function createMenderApi(options: MenderApiOptions): MenderApi {
  const send = createSend(options);
  const refuse = (named: NamedAnswer): Refused | Unavailable => notDone(named, options.clock, REMEDIES);
  const get = async <T>(
    sent: Omit<Sent, "method">,
    read: (named: NamedAnswer) => T | Unavailable,
  ): Promise<T | Refused | Unavailable> => {
    const named = await send({ method: "GET", ...sent });
    if ("kind" in named) return named;
    return named.answer.status === 200 ? read(named) : refuse(named);
  };
  const pageQuery = (page: number, status: string | undefined): Record<string, string> => ({
    page: String(page),
    per_page: String(MENDER_PER_PAGE),
    ...(status === undefined ? {} : { status }),
  });
  return {
    listDeployments: (page, status) =>
      get({ path: "", query: pageQuery(page, status) }, (named) => readPage(named, deploymentSchema)),
    async readDeployment(id) {
      const named = await send({ method: "GET", path: `/${encodeURIComponent(id)}` });
      if ("kind" in named) return named;
      if (named.answer.status === 404) return { kind: "deployment", deployment: null };
      if (named.answer.status !== 200) return refuse(named);
      const parsed = deploymentSchema.safeParse(parseJson(named.answer.text));
      return parsed.success
        ? { kind: "deployment", deployment: parsed.data }
        : unreadable(named, parsed.error, UNLIKE);
    },
    async listDevices(id, page, status) {
      const path = `/${encodeURIComponent(id)}/devices/list`;
      const named = await send({ method: "GET", path, query: pageQuery(page, status) });
      if ("kind" in named) return named;
      if (named.answer.status === 404) return { kind: "gone" };
      return named.answer.status === 200 ? readPage(named, deviceSchema) : refuse(named);
    },
    hasRelease: (name) =>
      get({ path: "/releases", query: { name } }, (named) => {
        const parsed = z.array(releaseSchema).nullable().safeParse(parseJson(named.answer.text));
        // The server takes a part of a name for the name.
        return parsed.success
          ? { kind: "release", exists: parsed.data?.includes(name) === true }
          : unreadable(named, parsed.error, UNLIKE);
      }),
    async abort(id) {
      const body = { status: "aborted" };
      const named = await send({ method: "PUT", path: `/${encodeURIComponent(id)}/status`, body });
      if ("kind" in named) return named;
      const { status } = named.answer;
      if (status === 204) return { kind: "aborted" };
      return status === 422 ? { kind: "over" } : refuse(named);
    },
    async create({ name, artifactName, devices }) {
      const body = { name, artifact_name: artifactName, devices };
      const named = await send({ method: "POST", path: "", body });
      if ("kind" in named) return named;
      const { status } = named.answer;
      if (status === 201) return { kind: "created" };
      return status === 409 ? { kind: "exists" } : refuse(named);
    },
  };
}

function createSend(options: MenderApiOptions): Send {
  const call = createNamedCall(options);
  const headers = { Authorization: `Bearer ${options.token}` };
  return ({ method, path, query = {}, body }) => {
    const url = new URL(`${options.url}${BASE}${path}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return call({ method, url, headers, ...jsonBody(body) });
  };
}

/**
 * An entry that can't be read is passed over: one odd deployment of long ago must not stand in the way of every
 * rollback. When none can be read, it is not the list that we asked for.
 */
function readPage<T>(named: NamedAnswer, schema: z.ZodType<T>): Page<T> | Unavailable {
  // Go writes an empty list as null in places.
  const list = z.array(z.unknown()).nullable().safeParse(parseJson(named.answer.text));
  if (!list.success) return unreadable(named, list.error, UNLIKE);
  const entries = list.data ?? [];
  const parsed = entries.map((entry) => schema.safeParse(entry));
  const items = parsed.flatMap((each) => (each.success ? [each.data] : []));
  const first = parsed.find((each) => !each.success);
  if (first?.error !== undefined && items.length === 0) return unreadable(named, first.error, UNLIKE);
  const total = /^\d+$/.exec(named.answer.headers.get("x-total-count") ?? "")?.[0];
  return {
    kind: "page",
    items,
    isLast: entries.length < MENDER_PER_PAGE,
    total: total === undefined ? undefined : Number(total),
  };
}

const UNLIKE = " but not as a Mender server does";
