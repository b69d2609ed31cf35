#!/usr/bin/env node
// The command line: `lastgood <command>`. One file per command; each registers itself here.
import { Command } from "commander";
import { lastgoodVersion } from "../../runtime/version.ts";
import { registerActs } from "./acts.ts";
import { registerCheckConfig } from "./check-config.ts";
import { processContext } from "./cli-context.ts";
import { registerCompletion } from "./completion.ts";
import { registerDeadLetters } from "./dead-letters.ts";
import { registerDeviceKey } from "./device-key.ts";
import { registerDevice } from "./device.ts";
import { registerExplain } from "./explain.ts";
import { registerHealth } from "./health.ts";
import { registerJournal } from "./journal.ts";
import { registerReplay } from "./replay.ts";
import { registerScope } from "./scope.ts";
import { registerStart } from "./start.ts";
import { registerStatus } from "./status.ts";
import { registerToken } from "./token.ts";

const context = processContext();
const program = new Command("lastgood")
  .description("Watches over-the-air updates and puts a channel back on its last good version.")
  .version(lastgoodVersion(), "-V, --version", "print the version")
  .showHelpAfterError("(lastgood --help lists the commands)")
  .addHelpText(
    "after",
    [
      "",
      "Examples:",
      "  $ lastgood start                         run everything on this machine",
      "  $ lastgood start --config lastgood.yaml  the same with your configuration",
      "  $ lastgood check-config lastgood.yaml    is the file right?",
      "  $ lastgood status                        what runs where, and how sure we are",
      "  $ lastgood health APP CHANNEL VERSION    one release: who failed and why, who is silent",
      "  $ lastgood scope APP VERSION             how far an incident reaches, and which devices",
      "  $ lastgood device DEVICE                 one device's story",
      "  $ lastgood device-key APP DEVICE         the key with which a device signs its reports",
      "  $ lastgood explain                       what was rolled back, and why",
      "  $ lastgood targets APP CHANNEL           what a channel can be rolled back to",
      "  $ lastgood rollback APP CHANNEL VERSION  put it there, now",
      "  $ lastgood approve DECISION              say yes to what waits for a person",
      "  $ lastgood freeze --all --reason WHY     the kill switch: nothing by itself any more",
      "  $ lastgood replay --policy new.yaml      what another policy would have done",
      "  $ lastgood journal verify                did anybody change the record?",
      "  $ lastgood dead-letters                  reports that could not be counted, and why",
      "  $ lastgood token ana                     a new token for an operator, and its line in the configuration",
    ].join("\n"),
  );

registerStart(program, context);
registerCheckConfig(program, context);
registerStatus(program, context);
registerHealth(program, context);
registerScope(program, context);
registerDevice(program, context);
registerDeviceKey(program, context);
registerExplain(program, context);
registerActs(program, context);
registerJournal(program, context);
registerReplay(program, context);
registerDeadLetters(program, context);
registerToken(program, context);
registerCompletion(program, context);

await program.parseAsync();
