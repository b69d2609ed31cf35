// What every service of docker-compose.yml has to keep to, as sentences about those that do not. Pure.
import type { ComposeFile, ComposeService } from "./compose-shape.ts";

type Rule = (name: string, service: ComposeService, file: ComposeFile) => string | undefined;

const RULES: readonly Rule[] = [
  (_, { image }) => unless(/^[a-z/-]+:v?\d+\.\d+\.\d+(-\w+)?$/.test(image), "its image has no exact version"),
  (_, { user }) => unless(/^[1-9]\d*:[1-9]\d*$/.test(user), "it may be root"),
  (_, service) => unless(service.read_only, "it can write to its own image"),
  (_, service) => unless(service.init, "it has no init"),
  (_, { cap_drop: dropped }) => unless(dropped.join() === "ALL", "it keeps capabilities"),
  (_, { security_opt: options }) =>
    unless(options.includes("no-new-privileges:true"), "it may get new privileges"),
  (name, { ports }) =>
    unless(
      (ports ?? []).every(
        (port) => port.startsWith("127.0.0.1:") || (name === "ingest" && port === "8080:8080"),
      ),
      "it is published beyond loopback",
    ),
  (_, { environment }) =>
    unless(
      Object.entries(environment ?? {}).every(([variable]) => !/(KEY|TOKEN|SECRET|PASSWORD)$/.test(variable)),
      "it has a secret in its environment",
    ),
  (_, { secrets }, file) =>
    unless(
      (secrets ?? []).every((secret) => secret in file.secrets),
      "it names a secret that is not there",
    ),
  (_, { networks }, file) =>
    unless(
      networks.every((network) => network in file.networks),
      "it names a network that is not there",
    ),
  (_, { depends_on: others }, file) =>
    unless(
      Object.entries(others ?? {}).every(
        ([other, { condition }]) => other in file.services && condition === "service_healthy",
      ),
      "it does not wait for a healthy service that is there",
    ),
  (_, { environment, secrets }) =>
    unless(
      Object.entries(environment ?? {})
        .filter(([variable]) => variable.endsWith("_FILE"))
        .every(([, path]) => (secrets ?? []).some((secret) => path === `/run/secrets/${secret}`)),
      "it names a file of a secret that it is not given",
    ),
];

function unless(isRight: boolean, mistake: string): string | undefined {
  return isRight ? undefined : mistake;
}

export function conventionMistakes(file: ComposeFile): string[] {
  return Object.entries(file.services).flatMap(([name, service]) =>
    RULES.flatMap((rule) => {
      const mistake = rule(name, service, file);
      return mistake === undefined ? [] : [`${name}: ${mistake}`];
    }),
  );
}
