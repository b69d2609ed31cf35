// A certificate and its key from two PEM files. Enters: the files. Leaves: the pair with the end of its validity, or
// what is wrong with which of the two, in words that hold nothing of the key. Also where the files are, from the folder
// of the configuration file.
import { X509Certificate, createHash, createPrivateKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { createSecureContext } from "node:tls";

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
}

export interface TlsPair {
  readonly kind: "pair";
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly expiresAtMs: number;
  /** Of the files' contents: another pair has another. */
  readonly digest: string;
}

export interface BadTlsPair {
  readonly kind: "bad";
  readonly setting: "cert_file" | "key_file";
  readonly reason: string;
  readonly digest: string;
}

/** Reads synchronously, as a configuration file is read. Throws nothing. */
export function readTlsPair({ certFile, keyFile, minVersion }: TlsFiles): TlsPair | BadTlsPair {
  const cert = readPart("cert_file", certFile);
  if (!Buffer.isBuffer(cert)) return cert;
  const key = readPart("key_file", keyFile);
  if (!Buffer.isBuffer(key)) return key;
  const digest = createHash("sha256").update(cert).update("\0").update(key).digest("hex");
  const bad = (setting: BadTlsPair["setting"], reason: string): BadTlsPair => ({
    kind: "bad",
    setting,
    reason,
    digest,
  });
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch {
    return bad("cert_file", `${certFile} holds no certificate in PEM form`);
  }
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch (error) {
    return bad("key_file", `${keyFile} holds no ${passphraseWord(error)}private key in PEM form`);
  }
  if (!certificate.checkPrivateKey(privateKey))
    return bad("key_file", `${keyFile} is not the key of the certificate in ${certFile}`);
  try {
    createSecureContext({ cert, key, minVersion });
  } catch (error) {
    return bad("cert_file", `TLS does not take ${certFile}: ${(error as Error).message}`);
  }
  return { kind: "pair", cert, key, expiresAtMs: Date.parse(certificate.validTo), digest };
}

function readPart(setting: BadTlsPair["setting"], file: string): Buffer | BadTlsPair {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: "there is no such file",
      EACCES: "this user may not read it",
      EISDIR: "it is a folder",
    };
    const reason = `${file} can't be read: ${reasons[code] ?? code}`;
    return { kind: "bad", setting, reason, digest: reason };
  }
}

function passphraseWord(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ERR_MISSING_PASSPHRASE" ? "unencrypted " : "";
}

export function tlsFilesIn<T extends TlsFiles>(tls: T | undefined, folder: string): T | undefined {
  if (tls === undefined) return undefined;
  return { ...tls, certFile: resolve(folder, tls.certFile), keyFile: resolve(folder, tls.keyFile) };
}
