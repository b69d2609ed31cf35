// Names of what the agent keeps per shard. All carry the shard's hash tag, beside the stream.
import { shardTag } from "../../ingest/contract/stream-names.ts";

/** Hash: `cursor` = id of the last folded entry, `folded` = reports folded, `dead` = dead letters made. */
export function metaKey(shard: number): string {
  return `${shardTag(shard)}:meta`;
}

/** Hash: release key text -> the shard's number for the release. */
export function releaseTableKey(shard: number): string {
  return `${shardTag(shard)}:releases`;
}

/** Hash: release key text -> cursor at which its counts last changed, until it has been evaluated. */
export function dirtyKey(shard: number): string {
  return `${shardTag(shard)}:dirty`;
}

/** Hash: device field (8 bytes) -> packed state. */
export function deviceBucketKey(shard: number, bucket: number): string {
  return `${shardTag(shard)}:d:${bucket.toString(36)}`;
}

/** Hash: index of the outcome -> devices; `first`, `last`, `failure` = receive times in ms. */
export function totalsKey(shard: number, releaseNumber: number): string {
  return `${shardTag(shard)}:t:${releaseNumber}`;
}

/** Hash: `<slot minute>:<index of the outcome>` -> devices. */
export function windowsKey(shard: number, releaseNumber: number): string {
  return `${shardTag(shard)}:w:${releaseNumber}`;
}
