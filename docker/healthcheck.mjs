// The container's health check: exit code 0 when the URL given answers 2xx within 3 seconds. A script of our
// own, because the image has no curl. Enters: the URL of /readyz or /healthz. Leaves: an exit code.
const url = process.argv[2];
if (url === undefined) throw new Error("usage: node docker/healthcheck.mjs URL");
try {
  const { ok, status } = await fetch(url, { signal: AbortSignal.timeout(3_000) });
  if (!ok) process.stderr.write(`${url} answered ${status}\n`);
  process.exitCode = ok ? 0 : 1;
} catch (error) {
  process.stderr.write(`${url} does not answer: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
