// What may go wrong with an HTTP call at any make of server, as its double is told to do it; a double adds what only it has.
export type WireFault =
  | { readonly kind: "error"; readonly status: number }
  | { readonly kind: "rate_limited"; readonly retryAfterSeconds: number }
  | { readonly kind: "redirect"; readonly location: string }
  | { readonly kind: "late"; readonly ms: number }
  | { readonly kind: "lost_answer" }
  | { readonly kind: "garbage" }
  | { readonly kind: "oversize"; readonly bytes: number };
