// The policies that a replay is asked about, as text. Enters: YAML, either a file with a section `policies:` (the rest of
// it is not looked at) or one policy alone. Leaves: policies, or every mistake with line and column.
import { isMap, isScalar, parseDocument } from "yaml";
import type { Node, Scalar } from "yaml";
import { z } from "zod";
import { readConfigText } from "../../runtime/config-file.ts";
import type { ConfigProblem, Environment } from "../../runtime/config-file.ts";
import { tooDeepAt } from "../../runtime/yaml-depth.ts";
import { policiesSchema, policySchema } from "../policy/policy.ts";
import type { Policy } from "../policy/policy.ts";

/** What a policy is called that stands alone. */
export const LONE_POLICY_NAME = "replayed";

export type PolicyChoice =
  | { readonly kind: "policies"; readonly policies: ReadonlyMap<string, Policy> }
  | { readonly kind: "invalid"; readonly problems: readonly ConfigProblem[] };

export interface PolicyTextOptions {
  /** What messages call it. */
  readonly file: string;
  readonly text: string;
  /** For `${NAME}`; text from elsewhere gets an empty one. */
  readonly env: Environment;
}

const sectionSchema = z.strictObject({ policies: policiesSchema });

export function readPolicyText(options: PolicyTextOptions): PolicyChoice {
  const section = policiesSection(options.text);
  if (section !== undefined) {
    const read = readConfigText({ ...options, text: section, schema: sectionSchema });
    if (read.kind === "invalid") return read;
    return { kind: "policies", policies: read.config.policies };
  }
  const read = readConfigText({ ...options, schema: policySchema });
  if (read.kind === "invalid") return read;
  const policy = { name: LONE_POLICY_NAME, ...read.config };
  return { kind: "policies", policies: new Map([[policy.name, policy]]) };
}

/** The same as JSON, with `${NAME}` filled in and nothing but policies in it: what is sent to an agent elsewhere. */
export function policyTextOf(options: PolicyTextOptions): string {
  const text = policiesSection(options.text) ?? options.text;
  const read = readConfigText({ ...options, text, schema: z.unknown() });
  return read.kind === "invalid" ? text : JSON.stringify(read.config);
}

/**
 * The text with all but its section `policies:` blank, so that lines stay what they are: nothing else of the file matters
 * here, not even whether the variables that it names are set. Undefined where there is no such section.
 */
function policiesSection(text: string): string | undefined {
  if (tooDeepAt(text) !== undefined) return undefined;
  const { contents, errors } = parseDocument(text, { prettyErrors: false, stringKeys: false });
  if (errors.length > 0 || !isMap(contents)) return undefined;
  const pair = contents.items.find(({ key }) => isScalar(key) && key.value === "policies");
  if (pair === undefined) return undefined;
  // `{ policies: … }` on one line, as JSON has it, is all there is.
  if (contents.flow === true) return text;
  const [key, value] = [pair.key as Scalar, pair.value as Node | null];
  const start = key.range?.[0] ?? 0;
  const end = value?.range?.[2] ?? key.range?.[2] ?? text.length;
  const blank = (part: string): string => part.replaceAll(/[^\r\n]/g, " ");
  return blank(text.slice(0, start)) + text.slice(start, end) + blank(text.slice(end));
}

/** One policy is for every channel; of several, each channel has the one that is named like its own. */
export function policyFor(policies: ReadonlyMap<string, Policy>, name: string): Policy | undefined {
  const [only] = policies.values();
  return policies.size === 1 ? only : policies.get(name);
}
