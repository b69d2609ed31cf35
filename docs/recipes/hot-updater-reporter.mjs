// For an app with hot-updater: tells Lastgood at each start how the bundle came up. Goes into the app's own code.
// Enters: what `onNotifyAppReady` gives, and what HotUpdater and the platform say of themselves. Leaves: a report. One that
// could not be sent is kept and sent at the next start with its time: a crash is told to the app at one start only.
const UNSENT = "lastgood.unsent";
const INSTALL_ID = "lastgood.install-id";
/** Reports that are kept; the oldest go first. */
const UNSENT_MAX = 20;

/** `storage` is AsyncStorage or alike; `randomId` makes the install id, once. */
export function lastgoodReporter({
  ingestUrl,
  ingestKey,
  hotUpdater,
  platform,
  storage,
  randomId,
  timeoutMs = 10_000,
}) {
  const url = `${ingestUrl.replace(/\/+$/, "")}/hot-updater/reports`;
  // hot-updater has no device id, and a cohort is shared by many devices.
  const installId = async () => {
    const known = await storage.getItem(INSTALL_ID);
    if (known !== null) return known;
    const made = randomId();
    await storage.setItem(INSTALL_ID, made);
    return made;
  };
  const send = async (reports) => {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), timeoutMs);
    try {
      const { status } = await fetch(url, {
        method: "POST",
        headers: { Authorization: `Bearer ${ingestKey}`, "Content-Type": "application/json" },
        body: JSON.stringify(reports),
        signal: stop.signal,
      });
      // A key or a name that is wrong stays wrong.
      return status < 500 && status !== 408 && status !== 429;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  };
  /** For `onNotifyAppReady`. Never rejects. */
  return async ({ status, crashedBundleId }) => {
    try {
      const report = {
        platform,
        appVersion: hotUpdater.getAppVersion(),
        fingerprintHash: hotUpdater.getFingerprintHash(),
        channel: hotUpdater.getChannel(),
        bundleId: hotUpdater.getBundleId(),
        minBundleId: hotUpdater.getMinBundleId(),
        status,
        crashedBundleId,
        at: new Date().toISOString(),
        installId: await installId(),
      };
      const earlier = JSON.parse((await storage.getItem(UNSENT)) ?? "[]");
      const reports = [...earlier, report].slice(-UNSENT_MAX);
      // Before it is sent: the app may be killed meanwhile. What is sent twice counts once.
      await storage.setItem(UNSENT, JSON.stringify(reports));
      if (await send(reports)) await storage.setItem(UNSENT, "[]");
    } catch {
      // An app must not fail because of its reports.
    }
  };
}
