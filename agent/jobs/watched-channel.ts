// A channel that the configuration names, with its policy and its OTA server.
import type { ChannelKey, Version } from "../../ingest/contract/release-key.ts";
import type { Policy } from "../policy/policy.ts";
import type { OtaServer } from "../rollback/ota-server.ts";

export interface WatchedChannel {
  readonly key: ChannelKey;
  readonly policy: Policy;
  readonly minimumVersion: Version | undefined;
  readonly server: OtaServer;
}
