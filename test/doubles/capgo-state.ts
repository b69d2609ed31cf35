// What the double of Capgo knows: apps, their bundles and channels, and what reads show of them while copies are stale
// (shared reference, ota-systems.md 1.9 to 1.11). Enters: changes, by people or by the API. Leaves: rows, now or as a
// copy has them.

/** Names that stand for "no bundle". */
export const BUILTIN_NAMES: readonly (string | null)[] = [null, "", "builtin", "unknown"];

export interface CapgoBundleRow {
  readonly id: number;
  readonly name: string;
  readonly createdAtMs: number;
  deleted: boolean;
  /** Null with no external_url and no manifest: nothing that a device could fetch. */
  r2Path: string | null;
}

export type AutoUpdateRule = "major" | "minor" | "patch" | "version_number" | "none";

export interface CapgoChannelRow {
  readonly id: number;
  readonly name: string;
  readonly createdAtMs: number;
  updatedAtMs: number;
  public: boolean;
  /** Null = builtin. */
  versionId: number | null;
  rolloutVersionId: number | null;
  rolloutId: number;
  rolloutEnabled: boolean;
  rolloutBps: number;
  rolloutPausedAtMs: number | null;
  rolloutPauseReason: string | null;
  underNative: boolean;
  disableAutoUpdate: AutoUpdateRule;
  ios: boolean;
  android: boolean;
  electron: boolean;
  allowProd: boolean;
  allowDev: boolean;
  allowDevice: boolean;
  allowEmulator: boolean;
}

export interface CapgoAppRows {
  readonly id: string;
  readonly bundles: CapgoBundleRow[];
  readonly channels: CapgoChannelRow[];
}

export interface CapgoState {
  readonly apps: Map<string, CapgoAppRows>;
  addApp(id: string): CapgoAppRows;
  addBundle(app: string, name: string, fields?: Partial<CapgoBundleRow>): CapgoBundleRow;
  addChannel(app: string, name: string): CapgoChannelRow;
  channel(app: string, name: string): CapgoChannelRow;
  /** The channel's own bundle; a rollout that is under way goes on. */
  setVersion(app: string, channel: string, bundle: string | null): void;
  startRollout(app: string, channel: string, bundle: string, bps?: number): void;
  clearRollout(row: CapgoChannelRow): void;
  /** By name, as Lastgood's tests speak of it. */
  nameOf(app: string, id: number | null): string | null;
  /** To be called after each change: what copies show follows. */
  changed(): void;
  /** As a copy has it, which may lag. */
  shown(app: string): CapgoAppRows | undefined;
}

export interface CapgoStateOptions {
  readonly clock: () => number;
  /** How far behind what reads show is, in milliseconds. */
  readonly staleMs: () => number;
}

export function createCapgoState({ clock, staleMs }: CapgoStateOptions): CapgoState {
  const apps = new Map<string, CapgoAppRows>();
  const copies: { readonly atMs: number; readonly apps: ReadonlyMap<string, CapgoAppRows> }[] = [];
  let lastId = 100;
  const nextId = (): number => (lastId += 1);
  const appOf = (id: string): CapgoAppRows => {
    const app = apps.get(id);
    if (app === undefined) throw new Error(`the double has no app ${id}`);
    return app;
  };
  const changed = (): void => void copies.push({ atMs: clock(), apps: structuredClone(apps) });
  const bundleId = (app: string, name: string): number => {
    const row = appOf(app).bundles.find((each) => each.name === name);
    if (row === undefined) throw new Error(`the double has no bundle ${name}`);
    return row.id;
  };
  const channel = (app: string, name: string): CapgoChannelRow => {
    const row = appOf(app).channels.find((each) => each.name === name);
    if (row === undefined) throw new Error(`the double has no channel ${name}`);
    return row;
  };
  const clearRollout = (row: CapgoChannelRow): void => {
    if (row.rolloutVersionId !== null) row.rolloutId = nextId();
    row.rolloutVersionId = null;
    row.rolloutEnabled = false;
    row.rolloutBps = 0;
    row.rolloutPausedAtMs = null;
    row.rolloutPauseReason = null;
  };
  return {
    apps,
    addApp(id) {
      const app: CapgoAppRows = { id, bundles: [], channels: [] };
      apps.set(id, app);
      changed();
      return app;
    },
    addBundle(app, name, fields = {}) {
      const id = nextId();
      const row = {
        id,
        name,
        createdAtMs: clock(),
        deleted: false,
        r2Path: `orgs/o/apps/${app}/${name}.zip`,
        ...fields,
      };
      appOf(app).bundles.push(row);
      changed();
      return row;
    },
    addChannel(app, name) {
      const row = newChannel({ id: nextId(), name, nowMs: clock(), rolloutId: nextId() });
      appOf(app).channels.push(row);
      changed();
      return row;
    },
    channel,
    setVersion(app, name, bundle) {
      const row = channel(app, name);
      row.versionId = bundle === null ? null : bundleId(app, bundle);
      row.updatedAtMs = clock();
      changed();
    },
    startRollout(app, name, bundle, bps = 1_000) {
      const row = channel(app, name);
      clearRollout(row);
      row.rolloutVersionId = bundleId(app, bundle);
      row.rolloutId = nextId();
      row.rolloutEnabled = true;
      row.rolloutBps = bps;
      row.updatedAtMs = clock();
      changed();
    },
    clearRollout(row) {
      clearRollout(row);
      changed();
    },
    nameOf: (app, id) => appOf(app).bundles.find((each) => each.id === id)?.name ?? null,
    changed,
    shown(app) {
      const lagMs = staleMs();
      if (lagMs === 0) return apps.get(app);
      return (copies.findLast(({ atMs }) => atMs <= clock() - lagMs) ?? copies[0])?.apps.get(app);
    },
  };
}

/** With Capgo's defaults. */
function newChannel(row: {
  readonly id: number;
  readonly name: string;
  readonly nowMs: number;
  readonly rolloutId: number;
}): CapgoChannelRow {
  const { id, name, nowMs, rolloutId } = row;
  return {
    id,
    name,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    public: true,
    versionId: null,
    rolloutVersionId: null,
    rolloutId,
    rolloutEnabled: false,
    rolloutBps: 0,
    rolloutPausedAtMs: null,
    rolloutPauseReason: null,
    underNative: true,
    disableAutoUpdate: "none",
    ios: true,
    android: true,
    electron: true,
    allowProd: true,
    allowDev: true,
    allowDevice: true,
    allowEmulator: true,
  };
}
