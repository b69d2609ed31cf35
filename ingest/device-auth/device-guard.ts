// Whether each report of a request may be about the device that it names. Enters: the apps with device_auth,
// once; then a request, its key, and the reports of it that are good otherwise. Leaves: those that may pass
// and those that may not, with a code; the metric is counted on the way. Every route that takes reports asks it.
import type { Clock } from "../../runtime/clock.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { DeviceAuthSettings } from "../contract/device-auth.ts";
import type { DeviceReport } from "../contract/device-report.ts";
import type { AppId } from "../contract/release-key.ts";
import type { DeviceAuthResult, IngestMetrics } from "../metrics.ts";
import type { ReportCode } from "../problems.ts";
import type { DeviceProof, DeviceVerifier, ProofRequest } from "./device-proof.ts";
import { createHmacVerifier } from "./hmac-verifier.ts";
import type { ProofTally } from "./proof-tally.ts";
import { createJwtVerifier } from "./jwt-verifier.ts";

/** A report and its place in the request. */
export interface PlacedReport {
  readonly index: number;
  readonly report: DeviceReport;
}

export interface RefusedReport {
  readonly index: number;
  readonly code: ReportCode;
  readonly detail: string;
  /** For `WWW-Authenticate`, where another proof would help. */
  readonly challenge?: string | undefined;
}

export interface GuardedReports {
  readonly passed: readonly PlacedReport[];
  readonly refused: readonly RefusedReport[];
}

export interface GuardRequest extends ProofRequest {
  /** Apps for which the request's ingest key is trusted to report for any device. */
  readonly trustedApps: ReadonlySet<AppId>;
}

export type GuardDevices = (
  request: GuardRequest,
  reports: readonly PlacedReport[],
) => Promise<GuardedReports>;

interface GuardedApp {
  readonly mode: DeviceAuthSettings["mode"];
  readonly verifier: DeviceVerifier;
}

export function createDeviceGuard({
  apps,
  metrics,
  clock,
  logger,
  onProof = () => {},
}: {
  readonly apps: ReadonlyMap<AppId, { readonly deviceAuth?: DeviceAuthSettings | undefined }>;
  readonly metrics: Pick<IngestMetrics, "deviceAuth">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told of each report of an app with device_auth. */
  readonly onProof?: ProofTally["note"];
}): GuardDevices {
  const guarded = new Map<AppId, GuardedApp>();
  for (const [app, { deviceAuth }] of apps) {
    if (deviceAuth === undefined) continue;
    const verifier =
      deviceAuth.type === "jwt"
        ? createJwtVerifier({ settings: deviceAuth, clock, logger })
        : createHmacVerifier({ app, secret: deviceAuth.secret, clock });
    guarded.set(app, { mode: deviceAuth.mode, verifier });
  }
  const nobodyIsAsked: GuardDevices = (_request, reports) =>
    Promise.resolve({ passed: reports, refused: [] });
  if (guarded.size === 0) return nobodyIsAsked;
  return async (request, reports) => {
    const proofs = await proveEach(guarded, request, reports);
    if (proofs.size === 0) return { passed: reports, refused: [] };
    const passed: PlacedReport[] = [];
    const refused: RefusedReport[] = [];
    for (const placed of reports) {
      const { app, device } = placed.report;
      const proof = proofs.get(app);
      if (proof === undefined) {
        passed.push(placed);
        continue;
      }
      const result = resultOf(proof, device);
      metrics.deviceAuth.inc({ app, result });
      onProof(app, FORGED_RESULTS.has(result) ? "unproven" : "proven");
      const refusal = refusalOf(proof, device);
      const { mode, verifier } = guarded.get(app)!;
      if (refusal === undefined || mode === "observe") passed.push(placed);
      else refused.push({ index: placed.index, challenge: verifier.challenge, ...refusal });
    }
    return { passed, refused };
  };
}

/** A token that is over is a device that was away. */
const FORGED_RESULTS: ReadonlySet<DeviceAuthResult> = new Set(["missing", "invalid", "mismatch"]);

type Proof = DeviceProof | { readonly kind: "unsigned_trusted" };

/** One proof for each app with device_auth that the request is about, however many reports there are. */
async function proveEach(
  guarded: ReadonlyMap<AppId, GuardedApp>,
  request: GuardRequest,
  reports: readonly PlacedReport[],
): Promise<ReadonlyMap<AppId, Proof>> {
  const proofs = new Map<AppId, Proof>();
  const devicesOf = new Map<AppId, Set<string>>();
  for (const { report } of reports)
    devicesOf.set(report.app, (devicesOf.get(report.app) ?? new Set()).add(report.device));
  for (const [app, devices] of devicesOf) {
    const verifier = guarded.get(app)?.verifier;
    if (verifier === undefined) continue;
    proofs.set(
      app,
      request.trustedApps.has(app)
        ? { kind: "unsigned_trusted" }
        : await verifier.prove(request, [...devices]),
    );
  }
  return proofs;
}

function resultOf(proof: Proof, device: string): DeviceAuthResult {
  if (proof.kind === "proven") return proof.device === device ? "ok" : "mismatch";
  return proof.kind;
}

const MISMATCH =
  "The request proves another device: a device reports about itself alone; gateways need a trusted key.";

function refusalOf(proof: Proof, device: string): Omit<RefusedReport, "index"> | undefined {
  switch (proof.kind) {
    case "unsigned_trusted":
      return undefined;
    case "proven":
      return proof.device === device
        ? undefined
        : { code: "device_mismatch", detail: MISMATCH, challenge: undefined };
    case "missing":
    case "invalid":
    case "expired":
      return { code: `device_token_${proof.kind}`, detail: proof.detail };
  }
}
