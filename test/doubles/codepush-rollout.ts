// Which devices a release at partial rollout is offered to, as code-push-server decides it (script/utils/rollout-selector.ts):
// a string hash of the device's id and the release, of which only the shift is cut to 32 bits. Pure.

export function rolloutBucket(clientUniqueId: string, releaseTag: string): number {
  const text = `${clientUniqueId}-${releaseTag}`;
  let hash = 0;
  for (let index = 0; index < text.length; index += 1) hash = (hash << 5) - hash + text.charCodeAt(index);
  return Math.abs(hash) % 100;
}

export function isSelectedForRollout(clientUniqueId: string, rollout: number, releaseTag: string): boolean {
  return rolloutBucket(clientUniqueId, releaseTag) < rollout;
}
