// Who is asking: turns `Authorization: Bearer <ingest key>` into the apps which that key may report for.
// Enters: the keys of the configuration, once, and each request. Leaves: the apps on `response.locals`,
// or a Problem. Keys are held only as SHA-256 digests and are never logged.
import { hash } from "node:crypto";
import type { RequestHandler, Response } from "express";
import type { AppId } from "../contract/release-key.ts";
import { problem } from "../problems.ts";

export interface Keyring {
  /** The apps of a key; undefined when nobody has this key. */
  appsOf(key: string): ReadonlySet<AppId> | undefined;
}

/**
 * A key may be listed under several apps. The look-up is by digest: how long it takes depends on the
 * digest, which nobody can steer towards a stored one without knowing the key, so comparing is constant
 * time in effect.
 */
export function createKeyring(apps: ReadonlyMap<AppId, { readonly ingestKeys: readonly string[] }>): Keyring {
  const appsByDigest = new Map<string, Set<AppId>>();
  for (const [app, { ingestKeys }] of apps) {
    for (const key of ingestKeys) {
      const digest = digestOf(key);
      appsByDigest.set(digest, (appsByDigest.get(digest) ?? new Set()).add(app));
    }
  }
  return { appsOf: (key) => appsByDigest.get(digestOf(key)) };
}

function digestOf(key: string): string {
  return hash("sha256", key, "base64");
}

const BEARER = /^Bearer +([^ ].*)$/i;

export function authenticate(keyring: Keyring): RequestHandler {
  return (request, response, next) => {
    const header = request.headers.authorization;
    const key = header === undefined ? undefined : BEARER.exec(header)?.[1];
    if (key === undefined) {
      response.set("WWW-Authenticate", 'Bearer realm="lastgood"');
      throw problem("missing_credentials", "Send the ingest key of the app: Authorization: Bearer <key>.");
    }
    const apps = keyring.appsOf(key);
    if (apps === undefined) {
      response.set("WWW-Authenticate", 'Bearer realm="lastgood", error="invalid_token"');
      throw problem(
        "unknown_key",
        "No app has this ingest key; the configuration lists them as ingest_keys.",
      );
    }
    response.locals["keyApps"] = apps;
    next();
  };
}

/** The apps that {@link authenticate} found; it must stand before whoever calls this. */
export function appsOfKey(response: Response): ReadonlySet<AppId> {
  return response.locals["keyApps"] as ReadonlySet<AppId>;
}
