// A device with the Mender client, as far as a server can tell: it asks for a deployment, reports each step, rolls itself
// back when the new artifact does not come up or the server answers 409, and then runs what it ran before (shared
// reference, ota-systems.md 3.1, 3.2, 3.4). Enters: a URL, an id, and what becomes of artifacts here. Leaves: HTTP requests.
export type MenderFate =
  | { readonly kind: "success" }
  /** Comes up badly, and the client rolls back. */
  | { readonly kind: "failure"; readonly substate: string }
  /** Reboots, and is not heard of any more. */
  | { readonly kind: "bricked" };

export interface MenderDeviceOptions {
  readonly url: string;
  readonly id: string;
  readonly deviceType: string;
  /** The artifact that runs at the start. */
  readonly running: string;
  readonly fateOf: (artifact: string) => MenderFate;
}

export type MenderCheck = "nothing" | "installed" | "failed" | "aborted" | "bricked" | "in_the_middle";
const STEPS = ["downloading", "installing", "rebooting"] as const;
export type MenderStep = (typeof STEPS)[number];

export interface MenderDevice {
  readonly id: string;
  running(): string;
  /** Asks, and goes through what it is told; `until` = stops after that step, and goes on when it is called again. */
  check(until?: MenderStep): Promise<MenderCheck>;
}

interface Underway {
  readonly deploymentId: string;
  readonly artifact: string;
  /** Of STEPS, the next one. */
  step: number;
}

export function createMenderDevice(options: MenderDeviceOptions): MenderDevice {
  const { id, deviceType, fateOf } = options;
  const base = `${options.url}/api/devices/v1/deployments/device/deployments`;
  const headers = { Authorization: `Bearer ${id}`, "Content-Type": "application/json" };
  let running = options.running;
  let underway: Underway | undefined;
  let isBricked = false;

  const ask = async (): Promise<Underway | undefined> => {
    const query = new URLSearchParams({ artifact_name: running, device_type: deviceType });
    const response = await fetch(`${base}/next?${query.toString()}`, { headers });
    if (response.status === 204) return undefined;
    if (response.status !== 200) throw new Error(`next answered ${response.status}`);
    const told = (await response.json()) as { id: string; artifact: { artifact_name: string } };
    return { deploymentId: told.id, artifact: told.artifact.artifact_name, step: 0 };
  };
  const put = async (path: string, body: unknown): Promise<number> => {
    const response = await fetch(`${base}/${path}`, { method: "PUT", headers, body: JSON.stringify(body) });
    await response.arrayBuffer();
    if (![204, 409].includes(response.status)) throw new Error(`PUT ${path} answered ${response.status}`);
    return response.status;
  };
  const report = async (told: Underway, status: string, substate?: string): Promise<boolean> => {
    const taken = (await put(`${told.deploymentId}/status`, { status, substate })) === 204;
    // Refused: it rolls itself back to what runs.
    if (!taken) underway = undefined;
    return taken;
  };
  const end = async (told: Underway): Promise<MenderCheck> => {
    const fate = fateOf(told.artifact);
    if (fate.kind === "bricked") {
      isBricked = true;
      return "bricked";
    }
    if (fate.kind === "failure") {
      const messages = [{ timestamp: new Date().toISOString(), level: "error", message: fate.substate }];
      await put(`${told.deploymentId}/log`, { messages });
    }
    const substate = fate.kind === "failure" ? fate.substate : undefined;
    if (!(await report(told, fate.kind, substate))) return "aborted";
    underway = undefined;
    if (fate.kind === "failure") return "failed";
    running = told.artifact;
    return "installed";
  };

  return {
    id,
    running: () => running,
    async check(until) {
      if (isBricked) return "bricked";
      underway ??= await ask();
      if (underway === undefined) return "nothing";
      const told = underway;
      while (told.step < STEPS.length) {
        const step = STEPS[told.step]!;
        told.step += 1;
        if (!(await report(told, step))) return "aborted";
        if (step === until) return "in_the_middle";
      }
      return end(told);
    },
  };
}
