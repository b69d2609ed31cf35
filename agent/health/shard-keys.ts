// Names of what the agent keeps per shard. All carry the shard's hash tag, beside the stream.
import { shardTag } from "../../ingest/contract/stream-names.ts";
import type { TableName } from "./shard-tables.ts";

/**
 * Hash: `revision` = token of the newest commit, `cursor` = id of the last folded entry, `folded` = reports
 * folded, `dead` and `dead_dropped` = dead letters made and lost, `due_minute` and `due_seen` = the minute of
 * deadlines that is being looked at, and how many of its devices have been.
 */
export function metaKey(shard: number): string {
  return `${shardTag(shard)}:meta`;
}

/** Hash: text -> the shard's number for it. */
export function tableKey(shard: number, table: TableName): string {
  return `${shardTag(shard)}:${table}`;
}

/** Hash: release key text -> revision at which its counts last changed, until it has been evaluated. */
export function dirtyKey(shard: number): string {
  return `${shardTag(shard)}:dirty`;
}

/** Hash: device field (8 bytes) -> packed state (device-state.ts). */
export function deviceBucketKey(shard: number, bucket: number): string {
  return `${shardTag(shard)}:d:${bucket.toString(36)}`;
}

/**
 * Hash: `total` = packed counts (count-vector.ts), `s<stratum>` = the same per stratum, `r<reason>` = devices;
 * `first`, `last`, `failure` = receive times in ms; `rolled` = minute at which windows were last rolled up.
 */
export function countsKey(shard: number, releaseNumber: number): string {
  return `${shardTag(shard)}:c:${releaseNumber}`;
}

/** Hash: slot (windows.ts) -> packed counts of its strata. */
export function windowsKey(shard: number, releaseNumber: number): string {
  return `${shardTag(shard)}:w:${releaseNumber}`;
}

/** Hash: day since the epoch -> revision of the newest commit that changed a window of the release in it. */
export function dayMarksKey(shard: number, releaseNumber: number): string {
  return `${shardTag(shard)}:md:${releaseNumber}`;
}

/** The same by hour since the epoch. */
export function hourMarksKey(shard: number, releaseNumber: number): string {
  return `${shardTag(shard)}:mh:${releaseNumber}`;
}

/** String: examples of the release's devices (examples.ts). */
export function examplesKey(shard: number, releaseNumber: number): string {
  return `${shardTag(shard)}:x:${releaseNumber}`;
}

/** Set: numbers of releases that have windows to roll up. */
export function fineKey(shard: number): string {
  return `${shardTag(shard)}:fine`;
}

/** Sorted set: minutes in which deadlines of devices end, scored by themselves. */
export function dueMinutesKey(shard: number): string {
  return `${shardTag(shard)}:due`;
}

/** String: fields (8 bytes each) of devices whose deadline ends in the minute. */
export function dueDevicesKey(shard: number, minute: number): string {
  return `${shardTag(shard)}:due:${minute}`;
}
