// Which releases the comparison is about, as matchers of labels: the candidate, and what stands beside it. Enters and leaves:
// nothing but constants.

export const CHANNEL = { app: '="$app"', channel: '="$channel"' } as const;
export const CANDIDATE = { ...CHANNEL, version: '="$version"' } as const;
/** What is chosen to stand beside it; "All" has the candidate in it as well. */
export const BASELINE = { ...CHANNEL, version: ['=~"$baseline"', '!="$version"'] } as const;
/** Without `other`, which nobody judges. */
export const BASELINE_BY_VERSION = {
  ...CHANNEL,
  version: ['=~"$baseline"', '!="$version"', '!="other"'],
} as const;
