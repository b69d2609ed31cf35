// Which channel an environment is, for systems that report the environment of an app ("production", "staging"): one
// channel for all, or a map. A schema piece. Enters: parsed YAML, `channel` or `environments`. Leaves: a look-up.
import { z } from "zod";
import { channelSchema } from "../release-key.ts";
import type { Channel } from "../release-key.ts";

export type EnvironmentChannels =
  | { readonly kind: "all"; readonly channel: Channel }
  /** What does not stand here is not of the fleet. */
  | { readonly kind: "named"; readonly channels: ReadonlyMap<string, Channel> };

/** The two fields, to be spread into a strictObject. */
export const environmentFields = {
  channel: channelSchema.optional(),
  environments: z
    .record(z.string().min(1).max(128), channelSchema)
    .optional()
    .transform((named) => (named === undefined ? undefined : new Map(Object.entries(named)))),
};

interface EnvironmentFields {
  readonly channel?: Channel | undefined;
  readonly environments?: ReadonlyMap<string, Channel> | undefined;
}

/** For the schema of whoever has the fields. */
export function refuseTwoChannels(fields: EnvironmentFields, context: z.RefinementCtx): void {
  if ((fields.channel === undefined) !== (fields.environments === undefined)) return;
  context.addIssue({
    code: "custom",
    message:
      "name either channel (for every environment) or environments, such as { production: production, staging: beta }",
  });
}

/** Of fields that {@link refuseTwoChannels} let pass. */
export function toEnvironmentChannels({ channel, environments }: EnvironmentFields): EnvironmentChannels {
  return channel === undefined
    ? { kind: "named", channels: environments ?? new Map() }
    : { kind: "all", channel };
}

/** Undefined = left out. */
export function channelOfEnvironment(
  channels: EnvironmentChannels,
  environment: string,
): Channel | undefined {
  return channels.kind === "all" ? channels.channel : channels.channels.get(environment);
}

/** Each channel with where it stands in the file. */
export function namedChannels(
  path: readonly string[],
  channels: EnvironmentChannels,
): (readonly [path: readonly string[], channel: string])[] {
  if (channels.kind === "all") return [[[...path, "channel"], channels.channel]];
  return [...channels.channels].map(([name, channel]) => [[...path, "environments", name], channel] as const);
}
