// The long runs of `npm run test:soak`: the demo at full size with several seeds, one after the other.
// Not part of `npm test`: a run takes a minute and a half.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/soak/**/*.soak.ts"],
    testTimeout: 300_000,
    fileParallelism: false,
    reporters: ["verbose"],
  },
});
