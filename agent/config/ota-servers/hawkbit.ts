// `ota_server: { type: hawkbit }`: an Eclipse hawkBit server, by its management API. Enters: parsed YAML. Leaves: which
// distribution sets are the app's releases, and which targets each channel is.
import { z } from "zod";
import { channelSchema } from "../../../ingest/contract/release-key.ts";
import type { Channel } from "../../../ingest/contract/release-key.ts";
import { secretText } from "../../../ingest/contract/settings.ts";
import { pollEverySchema, serverUrlSchema, timeoutSchema } from "./server-fields.ts";

export interface HawkbitOtaServerSettings {
  readonly type: "hawkbit";
  /** Without `/rest/v1` and without a slash at the end. */
  readonly url: string;
  /** `TENANT\user` where the server has more than one tenant. */
  readonly username: string;
  readonly password: string;
  /** Name of the distribution sets that are the app's releases; a set's version is the release's. */
  readonly distributionSet: string;
  /** RSQL of the targets that each channel is: the filter that its rollouts have, letter by letter. */
  readonly targets: ReadonlyMap<Channel, string>;
  /** Whether the bad set is invalidated after a rollback, which can't be undone there. */
  readonly invalidate: boolean;
  /** For one request. */
  readonly timeoutMs: number;
  /** How often it is asked what devices told it. */
  readonly pollEveryMs: number;
}

/** Longest RSQL of a channel, in characters: it stands in URLs. */
export const TARGETS_CHARS_MAX = 1_024;

// They stand in RSQL between quotes.
const nameSchema = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[^'"\\*]+$/, { error: "must not hold quotes, backslashes and *" });

export const hawkbitServerSchema = z
  .strictObject({
    type: z.literal("hawkbit"),
    url: serverUrlSchema,
    username: z
      .string()
      .min(1)
      .regex(/^[^:]+$/, { error: "must not hold a colon: HTTP Basic takes it for the password's beginning" }),
    password: secretText,
    distribution_set: nameSchema,
    channels: z
      .record(channelSchema, z.strictObject({ targets: z.string().min(1).max(TARGETS_CHARS_MAX) }))
      .refine((channels) => Object.keys(channels).length > 0, {
        error: 'say which targets each channel is, such as production: { targets: "tag==production" }',
      }),
    invalidate: z.boolean().prefault(false),
    timeout: timeoutSchema,
    poll_every: pollEverySchema,
  })
  .transform((server): HawkbitOtaServerSettings => ({
    type: server.type,
    url: server.url,
    username: server.username,
    password: server.password,
    distributionSet: server.distribution_set,
    targets: new Map(
      Object.entries(server.channels).map(([channel, { targets }]) => [channel as Channel, targets]),
    ),
    invalidate: server.invalidate,
    timeoutMs: server.timeout,
    pollEveryMs: server.poll_every,
  }));
