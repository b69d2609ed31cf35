// Who is asking: turns `Authorization: Bearer <ingest key>` into the apps which that key may report for.
// and which of them trust it to report for any device. Enters: the keys of the configuration, once, and each
// request. Leaves: the apps on `response.locals`,
// or a Problem. Keys are held only as SHA-256 digests and are never logged.
import { hash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { RequestHandler, Response } from "express";
import type { AppId } from "../contract/release-key.ts";
import { problem } from "../problems.ts";

/** What an ingest key is good for. */
export interface Sender {
  readonly apps: ReadonlySet<AppId>;
  /** Of these apps, or others, those that trust the key to report for any device. */
  readonly trustedApps: ReadonlySet<AppId>;
}

export interface Keyring {
  /** Undefined when nobody has this key. */
  senderOf(key: string): Sender | undefined;
  /** The apps of a key; undefined when nobody has this key. */
  appsOf(key: string): ReadonlySet<AppId> | undefined;
  /** Apps that list the key as trusted under device_auth. */
  trustedAppsOf(key: string): ReadonlySet<AppId>;
  /** What a table may call the key by: its digest. */
  nameOf(key: string): string;
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
    [...byKey].map(([digest, ofKey]): [string, Sender] => [
      digest,
      { apps: ofKey, trustedApps: byTrustedKey.get(digest) ?? NO_APPS },
    ]),
  );
  return {
    senderOf: (key) => senders.get(digestOf(key)),
    appsOf: (key) => byKey.get(digestOf(key)),
    trustedAppsOf: (key) => byTrustedKey.get(digestOf(key)) ?? NO_APPS,
    nameOf: digestOf,
  };
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

/** The key of an `Authorization` header; undefined where there is none. */
export function keyIn(header: string | undefined): string | undefined {
  return header === undefined ? undefined : BEARER.exec(header)?.[1];
}

/** Throws the Problem to answer with when the request names no key, or one that nobody has. */
export function identifySender(keyring: Keyring, request: IncomingMessage, response: ServerResponse): Sender {
  const key = keyIn(request.headers.authorization);
  if (key === undefined) {
    response.setHeader("WWW-Authenticate", 'Bearer realm="lastgood"');
    throw problem("missing_credentials", "Send the ingest key of the app: Authorization: Bearer <key>.");
  }
  const sender = keyring.senderOf(key);
  if (sender !== undefined) return sender;
  response.setHeader("WWW-Authenticate", 'Bearer realm="lastgood", error="invalid_token"');
  throw problem("unknown_key", "No app has this ingest key; the configuration lists them as ingest_keys.");
}

export function authenticate(keyring: Keyring): RequestHandler {
  return (request, response, next) => {
    response.locals["sender"] = identifySender(keyring, request, response);
    next();
  };
}

/** The apps that {@link authenticate} found; it must stand before whoever calls this. */
export function appsOfKey(response: Response): ReadonlySet<AppId> {
  return (response.locals["sender"] as Sender).apps;
}
