// What a Redis server says of itself in INFO (https://redis.io/docs/latest/commands/info/). Enters: its text. Leaves: a field
// of it. Pure.

/** Empty where the server does not say. */
export function infoField(info: string, name: string): string {
  return new RegExp(`^${name}:(.*)$`, "m").exec(info)?.[1]?.trim() ?? "";
}
