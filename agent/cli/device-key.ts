// `lastgood device-key <app> <device>`: the key that a device signs its reports with, under `device_auth` of
// type hmac. Enters: the configuration alone, no running agent. Leaves: the key on stdout and nothing else, so
// that provisioning can take it from there; or why there is none. Exit code 0, 1 or 2.
import type { Command } from "commander";
import { deviceReportSchema } from "../../ingest/contract/device-report.ts";
import { canHaveKey, deviceKeyOf } from "../../ingest/contract/device-signature.ts";
import type { AppId } from "../../ingest/contract/release-key.ts";
import { didYouMean } from "../../runtime/closest-name.ts";
import { formatProblems } from "../../runtime/config-file.ts";
import { findConfig, loadSettings } from "../config/load.ts";
import type { Settings } from "../config/schema.ts";
import { EXIT_CODES } from "./cli-context.ts";
import type { CliContext } from "./cli-context.ts";

export function registerDeviceKey(program: Command, context: CliContext): void {
  program
    .command("device-key")
    .description("print the key with which a device signs its reports (device_auth of type hmac)")
    .argument("<app>", "the app, as configured")
    .argument("<device>", "the device's id, exactly as it will report it")
    .option("-c, --config <file>", "the configuration file; default: the one that start would take")
    .option("--json", "print {app, device, key} as JSON")
    .addHelpText(
      "after",
      [
        "",
        "The key is derived from the app's secret: the same each time, kept nowhere. Whoever has it can report in",
        "the device's name, so hand it out once, over a channel you trust (docs/device-auth.md).",
        "",
        "Exit code: 0 = printed, 1 = there is no such app, device id or secret, 2 = the configuration has mistakes.",
        "",
        "Examples:",
        "  $ lastgood device-key com.acme.till till-0002",
        '  $ while read -r id; do lastgood device-key --json com.acme.till "$id"; done < devices.txt',
      ].join("\n"),
    )
    .action((app: string, device: string, options: { config?: string; json?: boolean }) => {
      printDeviceKey({ app, device, given: options.config, asJson: options.json === true }, context);
    });
}

export function printDeviceKey(
  options: {
    readonly app: string;
    readonly device: string;
    readonly given: string | undefined;
    readonly asJson: boolean;
  },
  context: CliContext,
): void {
  const { file } = findConfig({ ...options, ...context });
  const loaded = loadSettings({ file, env: context.env });
  if (loaded.kind === "invalid") {
    context.err(`${formatProblems(loaded.problems)}\n`);
    context.setExitCode(EXIT_CODES.configuration);
    return;
  }
  const { app, device } = options;
  const found = findKey(loaded.config, app, device);
  if (found.kind === "none") {
    context.err(`${file}: ${found.message}\n`);
    context.setExitCode(EXIT_CODES.failed);
    return;
  }
  const { key } = found;
  context.out(options.asJson ? `${JSON.stringify({ app, device, key })}\n` : `${key}\n`);
  context.setExitCode(EXIT_CODES.ok);
}

type FoundKey =
  | { readonly kind: "key"; readonly key: string }
  | { readonly kind: "none"; readonly message: string };

function findKey({ apps }: Settings, app: string, device: string): FoundKey {
  const settings = apps.get(app as AppId);
  if (settings === undefined) return none(`no app is called "${app}"${knownApps(app, [...apps.keys()])}`);
  const { deviceAuth } = settings;
  if (deviceAuth === undefined)
    return none(`"${app}" asks devices for no proof: add device_auth: { type: hmac, secret } to it first`);
  if (deviceAuth.type === "jwt")
    return none(`"${app}" asks for tokens (device_auth of type jwt): whoever issues them hands them out`);
  // A key that no report could ever use would only be missed later, on the device.
  if (!deviceReportSchema.shape.device.safeParse(device).success || !canHaveKey(device))
    return none("this is no device id: 1 to 128 characters, no control characters");
  return { kind: "key", key: deviceKeyOf({ secret: deviceAuth.secret, app, device }) };
}

function none(message: string): FoundKey {
  return { kind: "none", message };
}

function knownApps(app: string, known: readonly string[]): string {
  return didYouMean(app, known) || `; there are ${known.join(", ")}`;
}
