// The people and programs that may ask the agent, as the configuration names them. Enters: `agent.operators` of the
// file. Leaves: Operators; of each token the rest of the program only needs its digest.
import { createHash } from "node:crypto";
import { z } from "zod";
import { secretText } from "../../ingest/contract/settings.ts";

export const ROLES = ["viewer", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

export type Operator = {
  readonly name: string;
  readonly role: Role;
  /** From this moment on the token is refused; left out = never. */
  readonly expiresAtMs?: number;
} & ({ readonly token: string } | { readonly tokenSha256: string });

/** Longest name of an operator, in characters: it stands in the journal and in every session. */
export const OPERATOR_NAME_CHARS_MAX = 128;
const DAY_MS = 24 * 3_600_000;

/** SHA-256 in lower-case hex: what tokens are looked up by. */
export function digestOfToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

export function tokenDigestOf(operator: Operator): string {
  return "token" in operator ? digestOfToken(operator.token) : operator.tokenSha256;
}

const sha256Schema = z
  .string()
  .regex(/^[0-9a-fA-F]{64}$/, {
    error: "must be the 64 hex digits of the token's SHA-256: `lastgood token` makes both",
  })
  .transform((text) => text.toLowerCase());

/** A date is whole: the token works until that day is over, UTC. */
const expiresSchema = z
  .string()
  .refine((text) => isMoment(text), {
    error: "must be a date such as 2027-01-31, or a time such as 2027-01-31T18:00:00Z",
  })
  .transform((text) => Date.parse(text) + (isDate(text) ? DAY_MS : 0));

function isDate(text: string): boolean {
  return z.iso.date().safeParse(text).success;
}

function isMoment(text: string): boolean {
  return isDate(text) || z.iso.datetime({ offset: true }).safeParse(text).success;
}

const operatorSchema = z
  .strictObject({
    name: z.string().min(1).max(OPERATOR_NAME_CHARS_MAX),
    role: z.enum(ROLES),
    token: secretText.optional(),
    token_sha256: sha256Schema.optional(),
    expires: expiresSchema.optional(),
  })
  .superRefine(({ token, token_sha256 }, context) => {
    if (token !== undefined && token_sha256 !== undefined)
      context.addIssue({
        code: "custom",
        path: ["token_sha256"],
        message: "token is set too: keep one of the two, best token_sha256",
      });
    if (token === undefined && token_sha256 === undefined)
      context.addIssue({
        code: "custom",
        path: ["token"],
        message: "this setting is missing: write token, or token_sha256 (`lastgood token` makes one)",
      });
  })
  .transform(({ name, role, token, token_sha256, expires }): Operator => ({
    name,
    role,
    ...(expires === undefined ? {} : { expiresAtMs: expires }),
    ...(token === undefined ? { tokenSha256: token_sha256 ?? "" } : { token }),
  }));

export const operatorsSchema = z.array(operatorSchema).prefault([]).superRefine(refuseRepeated);

function refuseRepeated(operators: readonly Operator[], context: z.RefinementCtx): void {
  // zod comes here with what it has when one of them was refused; those mistakes are told first.
  if (!operators.every(isWhole)) return;
  const digests = operators.map(tokenDigestOf);
  operators.forEach((operator, index) => {
    const refuse = (field: string, what: string): void =>
      context.addIssue({
        code: "custom",
        path: [index, field],
        message: `an operator above has this ${what} already: each needs their own`,
      });
    if (operators.findIndex(({ name }) => name === operator.name) < index) refuse("name", "name");
    if (digests.indexOf(digests[index]!) < index)
      refuse("token" in operator ? "token" : "token_sha256", "token");
  });
}

function isWhole(operator: Partial<Operator>): boolean {
  return (
    typeof operator.name === "string" &&
    (("token" in operator && typeof operator.token === "string") ||
      ("tokenSha256" in operator && typeof operator.tokenSha256 === "string"))
  );
}
