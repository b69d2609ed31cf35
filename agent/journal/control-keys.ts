// Names of what the agent keeps for the whole installation (decisions are rare, so one slot carries them
// all and one script can write several of them atomically).
const TAG = "{lg:control}";

/** Stream of journal entries; the id of entry n is `n-0`. */
export const JOURNAL = `${TAG}:journal`;
/** Hash: `seq` and `hash` of the newest journal entry. */
export const JOURNAL_HEAD = `${TAG}:journal:head`;
/** Hash: decision id -> DecisionRecord as JSON. */
export const DECISIONS = `${TAG}:decisions`;
/** Hash: `n` -> how many decisions were recorded: what was decided on an older number is decided anew. */
export const DECISIONS_COUNT = `${TAG}:decisions:count`;
/** Hash: decision id -> time; decisions that still have to be carried out. */
export const OUTBOX = `${TAG}:outbox`;
/** Hash: decision id -> times that it was tried at the OTA server. */
export const OUTBOX_TRIES = `${TAG}:outbox:tries`;
/** Hash: decision id -> "1"; decisions that the OTA server was asked to carry out, whether or not it answered. */
export const OUTBOX_ASKED = `${TAG}:outbox:asked`;
/** Hash: decision id -> since when the OTA server has been saying no, epoch milliseconds. */
export const OUTBOX_REFUSED = `${TAG}:outbox:refused`;
/** Hash: decision id -> when it expires, RFC 3339; decisions that wait for a person's yes. */
export const APPROVALS = `${TAG}:approvals`;
/** Hash: `<decision id> <kind of its follow-up>` -> since when, RFC 3339; rollbacks that are watched until devices have left. */
export const FOLLOW_UPS = `${TAG}:follow-ups`;
/** Hash: id -> Freeze as JSON. */
export const FREEZES = `${TAG}:freezes`;
/** Hash: release key text -> Absolution as JSON. */
export const ABSOLUTIONS = `${TAG}:absolutions`;
/** Hash: release key text -> AlertRequest as JSON; alerts that ask for an act and fire now. */
export const ALERT_REQUESTS = `${TAG}:alert-requests`;
/** Hash: release key text -> hold as JSON; rollbacks that a guard holds back now. */
export const HOLDS = `${TAG}:holds`;
/** Hash: reason -> times that a guard began to hold a rollback back for it. */
export const HOLD_COUNTS = `${TAG}:holds:counts`;
/** Hash: SHA-256 of a session's id -> Session as JSON. */
export const SESSIONS = `${TAG}:sessions`;
/** Hash with one field: `<stage>:<sha256>` of the configuration file that was journalled last -> since when, and its mistakes, as JSON. */
export const CONFIG_STAGE = `${TAG}:config`;
/** Hash: release key text -> summary of its last evaluation as JSON. */
export const SUMMARIES = `${TAG}:summaries`;
/** Hash: release key text -> Suspect as JSON; releases that look bad now, without enough evidence to act. */
export const SUSPECTS = `${TAG}:suspects`;
/** Hash: channel key text -> what the OTA server said of the channel last, as JSON. */
export const CHANNELS = `${TAG}:channels`;
/** Sorted set: versions that the channel was seen to offer and has not gone back from, by when that began, epoch milliseconds. */
export function offeredKey(channelKeyText: string): string {
  return `${TAG}:offered:${channelKeyText}`;
}
/** Hash: key of a page -> page as it was told to Alertmanager, as JSON. */
export const PAGES = `${TAG}:pages`;
/** Hash: reader's name -> how far it has read the journal; and `<name>:begun` -> the entry that it is telling of. */
export const JOURNAL_CURSORS = `${TAG}:journal:cursors`;
/** Hash: minute of a daily summary -> `due`, `sent` or `given_up`; and `<minute>:begun` -> when it was being sent. */
export const DAILY_SUMMARIES = `${TAG}:daily-summaries`;
/** Hash: app and OTA server -> how far its management API has been read, as JSON. */
export const POLLS = `${TAG}:polls`;
/** Sorted set: versions of a channel by when ingest took in the newest report about them, epoch milliseconds. */
export function liveVersionsKey(channelKeyText: string): string {
  return `${TAG}:live:${channelKeyText}`;
}
