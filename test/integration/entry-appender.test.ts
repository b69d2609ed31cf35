// The appender of entries on a real Redis, when the building of a pipeline fails: who waits is told, and the next is served.
import { expect, test } from "vitest";
import { reportStream } from "../../ingest/contract/stream-names.ts";
import { createEntryAppender } from "../../ingest/entry-appender.ts";
import { useIngestRedis } from "../support/listening-ingest.ts";

const redis = useIngestRedis();

test("with replicas asked for, a pipeline that cannot be built is told, and its lane goes on", async () => {
  let asked = 0;
  const appender = createEntryAppender({
    redis: redis(),
    replicaAcks: 1,
    asksLength: () => {
      asked += 1;
      if (asked === 1) throw new Error("cannot be asked");
      return false;
    },
  });
  const entries = new Map([[0, [["d", "x"]]]]);
  await expect(appender.append(entries)).rejects.toThrow("cannot be asked");
  expect(await redis().xlen(reportStream(0))).toBe(0);
  // There is no replica; that Redis was asked shows that the lane works.
  await expect(appender.append(entries)).rejects.toThrow("0 of 1 replicas");
  expect(await redis().xlen(reportStream(0))).toBe(1);
});
