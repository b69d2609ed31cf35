// Remembers what was made of immutable objects, by their identity: the same objects in, the same object out, and
// nothing is worked out twice. It changes no result: whoever asks with other objects gets what a first call gives.
// An entry lives as long as the first object it was made of.

/** Of one object and a list of others; the last list asked for is remembered. */
export function memoBySources<First extends object, Other extends object, Made>(
  make: (first: First, others: readonly Other[]) => Made,
): (first: First, others: readonly Other[]) => Made {
  const made = new WeakMap<First, { readonly others: readonly Other[]; readonly value: Made }>();
  return (first, others) => {
    const known = made.get(first);
    if (known !== undefined && isSameList(known.others, others)) return known.value;
    const value = make(first, others);
    made.set(first, { others: [...others], value });
    return value;
  };
}

/** Questions about one object whose answers are kept; the oldest gives way. Some questions change with time. */
const ANSWERS_KEPT = 16;

/** Of one object and a question about it; `keyOf` tells questions with different answers apart. */
export function memoByQuestion<Source extends object, Question, Made>(
  keyOf: (question: Question) => string,
  make: (source: Source, question: Question) => Made,
): (source: Source, question: Question) => Made {
  const made = new WeakMap<Source, Map<string, Made>>();
  return (source, question) => {
    let ofSource = made.get(source);
    if (ofSource === undefined) made.set(source, (ofSource = new Map()));
    const key = keyOf(question);
    const known = ofSource.get(key);
    if (known !== undefined) return known;
    const value = make(source, question);
    if (ofSource.size >= ANSWERS_KEPT) ofSource.delete(ofSource.keys().next().value!);
    ofSource.set(key, value);
    return value;
  };
}

export interface Fold<Part extends object, Question, Sums> {
  /** Tells questions with different sums apart. */
  readonly keyOf: (question: Question) => string;
  readonly zero: (question: Question) => Sums;
  /** Adds what a part says to the sums. */
  readonly add: (sums: Sums, part: Part, question: Question) => void;
  readonly copy: (sums: Sums, question: Question) => Sums;
}

/**
 * Adds parts up from the first to the last, and remembers the sums before the last one: what is appended to, or
 * changes at its end, costs one addition. The additions and their order are always the same, so the bits are, too.
 */
export function memoFold<Part extends object, Question, Sums>(
  fold: Fold<Part, Question, Sums>,
): (parts: readonly Part[], question: Question) => Sums {
  const made = new WeakMap<Part, Map<string, { readonly parts: readonly Part[]; readonly sums: Sums }>>();
  const addAll = (parts: readonly Part[], question: Question): Sums => {
    const sums = fold.zero(question);
    for (const part of parts) fold.add(sums, part, question);
    return sums;
  };
  const beforeLast = (parts: readonly Part[], question: Question): Sums => {
    const end = parts.at(-1)!;
    let ofEnd = made.get(end);
    if (ofEnd === undefined) made.set(end, (ofEnd = new Map()));
    const key = fold.keyOf(question);
    const known = ofEnd.get(key);
    if (known !== undefined && isSameList(known.parts, parts)) return known.sums;
    const sums = addAll(parts, question);
    if (ofEnd.size >= ANSWERS_KEPT) ofEnd.delete(ofEnd.keys().next().value!);
    ofEnd.set(key, { parts, sums });
    return sums;
  };
  return (parts, question) => {
    if (parts.length < 2) return addAll(parts, question);
    const sums = fold.copy(beforeLast(parts.slice(0, -1), question), question);
    fold.add(sums, parts.at(-1)!, question);
    return sums;
  };
}

function isSameList(left: readonly unknown[], right: readonly unknown[]): boolean {
  return left.length === right.length && left.every((each, index) => each === right[index]);
}
