// Who is asking: turns `Authorization: Bearer <ingest key>` into the apps which that key may report for, and which of them
// trust it to report for any device. Enters: the keys of the configuration, once, and each request. Leaves: its sender, or a
// Problem. A request's key is hashed once: who is asking is found first, and handed on to whoever limits and lets in. Keys
// are held only as SHA-256 digests and are never logged.
import { hash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { RequestHandler, Response } from "express";
import type { AppId } from "../contract/release-key.ts";
import { problem } from "../problems.ts";

/** What an ingest key is good for. */
export interface Sender {
  /** What a table may call the key by: its digest. */
  readonly name: string;
  readonly apps: ReadonlySet<AppId>;
  /** Of these apps, or others, those that trust the key to report for any device. */
  readonly trustedApps: ReadonlySet<AppId>;
}

export interface Keyring {
  /** Undefined when nobody has this key. */
  senderOf(key: string): Sender | undefined;
}

export interface KeysOfApp {
  readonly ingestKeys: readonly string[];
  readonly deviceAuth?: { readonly trustedKeys: readonly string[] } | undefined;
}

const NO_APPS: ReadonlySet<AppId> = new Set();

/**
 * A key may be listed under several apps. The look-up is by digest: how long it takes depends on the
 * digest, which nobody can steer towards a stored one without knowing the key, so comparing is constant
 * time in effect.
 */
export function createKeyring(apps: ReadonlyMap<AppId, KeysOfApp>): Keyring {
  const byKey = byDigest(apps, ({ ingestKeys }) => ingestKeys);
  const byTrustedKey = byDigest(apps, ({ deviceAuth }) => deviceAuth?.trustedKeys ?? []);
  const senders = new Map(
    [...byKey].map(([name, ofKey]): [string, Sender] => [
      name,
      { name, apps: ofKey, trustedApps: byTrustedKey.get(name) ?? NO_APPS },
    ]),
  );
  return { senderOf: (key) => senders.get(digestOf(key)) };
}

function byDigest(
  apps: ReadonlyMap<AppId, KeysOfApp>,
  keysOf: (app: KeysOfApp) => readonly string[],
): ReadonlyMap<string, ReadonlySet<AppId>> {
  const found = new Map<string, Set<AppId>>();
  for (const [app, settings] of apps)
    for (const key of keysOf(settings)) {
      const digest = digestOf(key);
      found.set(digest, (found.get(digest) ?? new Set()).add(app));
    }
  return found;
}

function digestOf(key: string): string {
  return hash("sha256", key, "base64");
}

const BEARER = /^Bearer +([^ ].*)$/i;

/** Undefined when the request names no key, or one that nobody has. */
export function findSender(
  keyring: Keyring,
  { headers: { authorization } }: Pick<IncomingMessage, "headers">,
): Sender | undefined {
  const key = authorization === undefined ? undefined : BEARER.exec(authorization)?.[1];
  return key === undefined ? undefined : keyring.senderOf(key);
}

/** Throws the Problem to answer with when there is no sender. */
export function requireSender(
  sender: Sender | undefined,
  { headers: { authorization = "" } }: Pick<IncomingMessage, "headers">,
  response: Pick<ServerResponse, "setHeader">,
): Sender {
  if (sender !== undefined) return sender;
  if (!BEARER.test(authorization)) {
    response.setHeader("WWW-Authenticate", 'Bearer realm="lastgood"');
    throw problem("missing_credentials", "Send the ingest key of the app: Authorization: Bearer <key>.");
  }
  response.setHeader("WWW-Authenticate", 'Bearer realm="lastgood", error="invalid_token"');
  throw problem("unknown_key", "No app has this ingest key; the configuration lists them as ingest_keys.");
}

/** Stands first on a route: whoever comes after it need not look at the key. */
export function noteSender(keyring: Keyring): RequestHandler {
  return (request, response, next) => {
    response.locals["sender"] = findSender(keyring, request);
    next();
  };
}

/** Of a request that {@link noteSender} has seen. */
export function notedSender(response: Pick<Response, "locals">): Sender | undefined {
  return response.locals["sender"] as Sender | undefined;
}

/** Lets in whoever has a key. */
export const authenticate: RequestHandler = (request, response, next) => {
  requireSender(notedSender(response), request, response);
  next();
};

/** Of a request that {@link authenticate} let in. */
export function appsOfKey(response: Pick<Response, "locals">): ReadonlySet<AppId> {
  return notedSender(response)!.apps;
}
