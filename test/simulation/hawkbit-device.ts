// A device that speaks hawkBit's DDI (as SWUpdate or the RAUC hawkbit updater do): it polls, takes its deployment, reports,
// and closes it; a set that does not boot is closed as a failure, from the slot that it went back to. Leaves: HTTP requests.

export interface HawkbitDeviceOptions {
  readonly url: string;
  readonly controllerId: string;
  /** Sets that come up on this device. */
  readonly boots: (version: string) => boolean;
}

export interface HawkbitDevice {
  readonly controllerId: string;
  running(): string | undefined;
  /** One poll: what is waiting is done to its end. */
  poll(): Promise<void>;
}

interface Base {
  readonly _links: {
    readonly deploymentBase?: { readonly href: string };
    readonly cancelAction?: { readonly href: string };
  };
}

export function createHawkbitDevice({ url, controllerId, boots }: HawkbitDeviceOptions): HawkbitDevice {
  let running: string | undefined;
  const base = `${url}/DEFAULT/controller/v1/${encodeURIComponent(controllerId)}`;
  const tell = async (href: string, execution: string, finished: string, code?: number): Promise<void> => {
    const response = await fetch(`${href}/feedback`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        status: { execution, result: { finished }, ...(code === undefined ? {} : { code }), details: [] },
      }),
    });
    await response.arrayBuffer();
  };
  const step = async (): Promise<boolean> => {
    const { _links: links } = (await (await fetch(base)).json()) as Base;
    if (links.cancelAction !== undefined) {
      await tell(links.cancelAction.href, "closed", "success");
      return true;
    }
    if (links.deploymentBase === undefined) return false;
    const { href } = links.deploymentBase;
    const { deployment } = (await (await fetch(href)).json()) as {
      deployment: { chunks: { version: string }[] };
    };
    const version = deployment.chunks[0]!.version;
    await tell(href, "download", "none");
    await tell(href, "downloaded", "none");
    await tell(href, "proceeding", "none");
    if (boots(version)) {
      running = version;
      await tell(href, "closed", "success");
    } else await tell(href, "closed", "failure", 137);
    return true;
  };
  return {
    controllerId,
    running: () => running,
    async poll() {
      // A cancelled action first, then the one that took its place.
      while (await step());
    },
  };
}
