// What a piece of work asks of Redis, command by command, as Redis itself saw it (MONITOR): for tests of what
// is read, and what is left alone. Commands inside scripts are there too.
import { primariesOf } from "../../runtime/redis-servers.ts";
import type { Redis, RedisServer } from "../../runtime/redis.ts";

/** Name in small letters, key, and the other arguments. */
export type RecordedCommand = readonly string[];

/** Leaves: everything that anybody sent while the work ran, in the order in which each server took it. */
export async function recordCommands(redis: Redis, work: () => Promise<unknown>): Promise<RecordedCommand[]> {
  const recordings = await Promise.all(primariesOf(redis).map(startRecording));
  try {
    await work();
    return (await Promise.all(recordings.map((one) => one.end()))).flat();
  } finally {
    for (const one of recordings) one.drop();
  }
}

interface Recording {
  end(): Promise<RecordedCommand[]>;
  drop(): void;
}

async function startRecording(server: RedisServer): Promise<Recording> {
  const monitor = await server.monitor();
  const commands: RecordedCommand[] = [];
  const end = `end-${performance.now()}`;
  const ended = new Promise<void>((resolve) =>
    monitor.on("monitor", (_time: string, [name = "", ...rest]: string[]) => {
      if (rest[0] === end) resolve();
      else commands.push([name.toLowerCase(), ...rest]);
    }),
  );
  return {
    async end() {
      await server.echo(end);
      await ended;
      return commands;
    },
    drop: () => monitor.disconnect(),
  };
}
