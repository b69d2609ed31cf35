// The header by which the command line tells the agent from whatever else listens where it was told to look.
// One of our own: proxies put their own name into `Server`.
export const AGENT_HEADER = "Lastgood-Agent";
