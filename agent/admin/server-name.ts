// What the agent calls itself in the `Server` header, so that the command line can tell it from whatever else
// listens where it was told to look.
export const AGENT_SERVER_NAME = "lastgood-agent";
