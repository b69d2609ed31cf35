// The long runs of `npm run test:soak`, one after the other: the demo at full size with several seeds, a
// backlog of two million entries, crashes while 50,000 devices report, and alerts made wrong on purpose. Not part of `npm test`: each takes
// minutes.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/soak/**/*.soak.ts"],
    testTimeout: 300_000,
    fileParallelism: false,
    reporters: ["verbose"],
  },
});
