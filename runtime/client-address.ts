// Whose address a request is from, and how much of it is one customer's. Enters: a request, and the proxies whose
// `X-Forwarded-For` is believed. Leaves: the address that the last of them wrote down; without proxies, who connected.
import { BlockList, isIP, isIPv6 } from "node:net";
import type { IncomingMessage } from "node:http";

/** Of an IPv6 address this much is one customer's: 4 of 8 groups, 64 bits. */
const IPV6_GROUPS = 4;
/** Addresses of one header that are looked at, from its end: no chain of proxies is longer. */
const HOPS_MAX = 16;

export type ClientAddress = (request: Pick<IncomingMessage, "headers" | "socket">) => string;

export function createClientAddress(trustedProxies: readonly string[]): ClientAddress {
  const isTrusted = createIsTrusted(trustedProxies);
  return ({ headers, socket }) => {
    let address = plainAddress(socket.remoteAddress ?? "");
    if (trustedProxies.length === 0) return address;
    const told = String(headers["x-forwarded-for"] ?? "").split(",");
    for (const hop of told.slice(-HOPS_MAX).toReversed()) {
      if (!isTrusted(address)) return address;
      const before = plainAddress(hop.trim());
      // What is no address was not written by a proxy of ours: who told it is all that is known.
      if (isIP(before) === 0) return address;
      address = before;
    }
    return address;
  };
}

function createIsTrusted(proxies: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const proxy of proxies) {
    const [network = "", bits] = proxy.split("/", 2);
    const family = isIPv6(network) ? "ipv6" : "ipv4";
    if (bits === undefined) list.addAddress(network, family);
    else list.addSubnet(network, Number(bits), family);
  }
  return (address) => isIP(address) !== 0 && list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

/** IPv4 as it is also where a socket of both families calls it ::ffff:1.2.3.4. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
}

/** The address itself, or the network that an IPv6 customer picks addresses from. */
export function networkOf(address: string): string {
  const bare = plainAddress(address);
  if (!isIPv6(bare)) return bare;
  const [head = "", tail] = bare.split("::", 2);
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length);
  const groups = [...front, ...Array.from({ length: zeros }, () => "0"), ...back];
  return groups
    .slice(0, IPV6_GROUPS)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
}
