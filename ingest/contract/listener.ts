// How a listener is guarded, as schema pieces for ingest and agent: TLS by files, whose forwarded addresses are believed,
// and who answers for plain HTTP that other machines reach. Enters: parsed YAML. Leaves: camelCase values, and the
// sentence that is said at start where nobody answers for it. Pure.
import { z } from "zod";
import { isLoopback } from "../../runtime/units.ts";
import type { ListenAddress } from "../../runtime/units.ts";

export const TLS_VERSIONS = ["1.2", "1.3"] as const;

export interface TlsSettings {
  /** PEM: the certificate of this server first, then those between it and the authority's own. */
  readonly certFile: string;
  /** PEM, without a passphrase. */
  readonly keyFile: string;
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
}

/** Files are as written: the loader makes them absolute. */
export const tlsSchema = z
  .strictObject({
    cert_file: z.string().min(1),
    key_file: z.string().min(1),
    // In YAML `1.3` is a number.
    min_version: z
      .union([z.number(), z.string()])
      .transform((value) => String(value))
      .pipe(z.enum(TLS_VERSIONS, { error: `must be ${TLS_VERSIONS.join(" or ")}` }))
      .prefault("1.2"),
  })
  .transform(({ cert_file, key_file, min_version }): TlsSettings => ({
    certFile: cert_file,
    keyFile: key_file,
    minVersion: `TLSv${min_version}`,
  }));

/** Why plain HTTP is right although other machines reach the address. */
export const PLAIN_HTTP_REASONS = ["behind_proxy", "private_network"] as const;
export type PlainHttpReason = (typeof PLAIN_HTTP_REASONS)[number];
export const plainHttpSchema = z.enum(PLAIN_HTTP_REASONS);

/** Enough for every proxy of an installation; each is a comparison per request. */
export const TRUSTED_PROXIES_MAX = 64;
const proxySchema = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], {
  error: "must be an address or a network, such as 127.0.0.1 or 10.0.0.0/8",
});
export const trustedProxiesSchema = z
  .array(proxySchema)
  .max(TRUSTED_PROXIES_MAX, { error: `name at most ${TRUSTED_PROXIES_MAX}` })
  .prefault([]);

/** For the sections of both: a reason for plain HTTP beside TLS is a leftover of one of them. */
export function refusePlainHttpBesideTls(
  { tls, plain_http }: { readonly tls?: unknown; readonly plain_http?: unknown },
  context: z.RefinementCtx,
): void {
  if (tls === undefined || plain_http === undefined) return;
  context.addIssue({
    code: "custom",
    path: ["plain_http"],
    message: "tls stands beside it, so nothing is plain here: keep one of the two",
  });
}

export interface GuardedListener {
  /** As in the file: `ingest` or `agent`. */
  readonly section: "ingest" | "agent";
  readonly listen: ListenAddress;
  readonly tls?: TlsSettings | undefined;
  readonly plainHttp?: PlainHttpReason | undefined;
  readonly trustedProxies?: readonly string[] | undefined;
}

const SECRETS_OF = { ingest: "ingest keys", agent: "operator tokens" } as const;

/** Undefined where nobody else can listen in, or somebody answers for it. */
export function plainHttpWarning(listener: GuardedListener): string | undefined {
  const { section, listen, tls, plainHttp, trustedProxies = [] } = listener;
  if (isLoopback(listen.host) || tls !== undefined || plainHttp !== undefined) return undefined;
  if (trustedProxies.length > 0) return undefined;
  return (
    `${section}.listen takes PLAIN HTTP from other machines: whoever is on the way reads ${SECRETS_OF[section]}. ` +
    `Set ${section}.tls, or ${section}.plain_http: behind_proxy where a proxy in front ends TLS ` +
    "(private_network where nobody else is on the way)"
  );
}
