// A TCP proxy of 127.0.0.1 that is a bad network on demand: it delays each answer, lets bytes vanish, or resets connections.
// Enters: the unix
// socket to pass on to. Leaves: a port of its own. Needs nothing of what passes.
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

export interface FaultyProxy {
  readonly port: number;
  /** Every answer comes so much later, in milliseconds; the order stays. */
  delayAnswers(ms: number): void;
  /** What is sent vanishes, either way; connections stay open. */
  blackhole(isOn: boolean): void;
  /** All connections there are end with a reset. Leaves: how many. */
  resetAll(): number;
  stop(): Promise<void>;
}

export async function startFaultyProxy(targetSocket: string): Promise<FaultyProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let delayMs = 0;
  let isBlackhole = false;
  const server = createServer((client) => {
    const target = connect(targetSocket);
    const pair = [client, target] as const;
    pairs.add(pair);
    client.on("data", (bytes: Buffer) => void (isBlackhole || target.write(bytes)));
    target.on("data", (bytes: Buffer) => {
      if (isBlackhole) return;
      if (delayMs === 0) client.write(bytes);
      else setTimeout(() => client.write(bytes), delayMs);
    });
    for (const socket of pair) {
      socket.on("error", () => {});
      socket.on("close", () => {
        pairs.delete(pair);
        for (const other of pair) other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    delayAnswers: (ms) => void (delayMs = ms),
    blackhole: (isOn) => void (isBlackhole = isOn),
    resetAll() {
      const count = pairs.size;
      for (const [client] of pairs) client.resetAndDestroy();
      return count;
    },
    async stop() {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}
