// Bins for the time from a device's attempt to its first answer about the version: short ones while answers
// are many, longer ones later. The log-rank form of the silence rule compares versions bin by bin. Pure.

/** Where each bin begins, in minutes after the attempt; the last one has no end. A bin's number is stored: append only. */
export const ANSWER_BIN_MINUTES = [
  0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1_440, 2_880, 4_320, 7_200,
] as const;

export const ANSWER_BINS = ANSWER_BIN_MINUTES.length;

/** Bin of an answer so many minutes after the attempt; one that came before it (a clock was set) falls into bin 0. */
export function answerBinOf(minutes: number): number {
  let bin = ANSWER_BINS - 1;
  while (bin > 0 && ANSWER_BIN_MINUTES[bin]! > minutes) bin -= 1;
  return bin;
}
