// Keeps the certificate of a listening server that of its files: they are looked at again and again, because links that
// change their target (Kubernetes, certbot) tell no watcher. Enters: a server that has a good pair. Leaves: the server
// with the newest good pair; connections that are open go on with theirs. A bad new pair changes nothing, and is said.
import type { Server } from "node:https";
import type { Logger } from "./logger.ts";
import { readTlsPair } from "./tls-files.ts";
import type { BadTlsPair, TlsFiles, TlsPair } from "./tls-files.ts";

/** How often the files are looked at, in milliseconds. */
export const TLS_POLL_MS = 5_000;

export interface TlsNews {
  /** The pair that is served from now on. */
  readonly onServed: (pair: TlsPair) => void;
  /** Whether what the files hold is served. */
  readonly onLook: (result: "served" | "bad") => void;
}

export interface TlsRotationOptions extends TlsNews {
  readonly server: Pick<Server, "setSecureContext">;
  readonly files: TlsFiles;
  readonly first: TlsPair;
  /** As messages call it: `ingest` or `agent`. */
  readonly listener: string;
  readonly logger: Logger;
  readonly pollMs?: number;
}

export interface TlsRotation {
  readonly lookNow: () => void;
  readonly stop: () => void;
}

export function rotateTls(options: TlsRotationOptions): TlsRotation {
  const { server, files, first, listener, logger, onServed, onLook, pollMs = TLS_POLL_MS } = options;
  let served = first;
  let bad: string | undefined;
  let isSaid = false;
  const keep = (found: BadTlsPair): void => {
    // Said at the second look: the files change one after the other.
    if (bad === found.digest && !isSaid) {
      isSaid = true;
      onLook("bad");
      logger.error(
        { expires_at: new Date(served.expiresAtMs).toISOString() },
        `${listener}.tls.${found.setting}: ${found.reason}; the certificate before it is still served`,
      );
    } else if (bad !== found.digest) isSaid = false;
    bad = found.digest;
  };
  const lookNow = (): void => {
    const found = readTlsPair(files);
    if (found.kind === "bad") return keep(found);
    if (found.digest !== served.digest && isOver(found) && !isOver(served))
      return keep({ ...found, kind: "bad", setting: "cert_file", reason: "the new certificate has expired" });
    bad = undefined;
    isSaid = false;
    onLook("served");
    if (found.digest === served.digest) return;
    server.setSecureContext({ cert: found.cert, key: found.key, minVersion: files.minVersion });
    served = found;
    onServed(found);
    logger.info(
      { expires_at: new Date(found.expiresAtMs).toISOString() },
      `${listener}.tls: a new certificate is served`,
    );
  };
  const timer = setInterval(lookNow, pollMs);
  timer.unref();
  return { lookNow, stop: () => clearInterval(timer) };
}

function isOver({ expiresAtMs }: TlsPair): boolean {
  return expiresAtMs <= Date.now();
}
