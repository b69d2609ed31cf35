// Connect/Express middleware for your own update server: tells Lastgood what each manifest request says in its headers.
// Enters: manifest requests. Leaves: a copy of their `expo-*` and `eas-*` headers to Lastgood, and nothing else. It never
// delays or fails a request: it does not wait for the answer, and gives up after `timeoutMs`.
const FORWARDED = /^(expo|eas)-/;

export function lastgoodManifestRequests({ ingestUrl, ingestKey, timeoutMs = 2_000, onError = () => {} }) {
  const url = `${ingestUrl.replace(/\/+$/, "")}/expo/manifest-requests`;
  return (request, _response, next) => {
    const headers = Object.fromEntries(
      Object.entries(request.headers).filter(([name]) => FORWARDED.test(name)),
    );
    // Without it this is no manifest request (assets are asked for by other means), or no device to count.
    if (headers["eas-client-id"] !== undefined)
      fetch(url, {
        method: "POST",
        headers: { Authorization: `Bearer ${ingestKey}`, "Content-Type": "application/json" },
        body: JSON.stringify({ headers, receivedAt: new Date().toISOString() }),
        signal: AbortSignal.timeout(timeoutMs),
      })
        .then(async (answer) => {
          await answer.body?.cancel();
          if (!answer.ok) onError(new Error(`Lastgood answered ${answer.status}`));
        })
        .catch(onError);
    next();
  };
}
