// Writing and reading small packed records: bytes, fixed-width little-endian numbers, LEB128 varints (7 bits a
// byte, low ones first), and zigzag for signed ones.

const BYTES_FIRST = 64;

export class ByteWriter {
  #bytes = Buffer.allocUnsafe(BYTES_FIRST);
  #offset = 0;

  byte(value: number): void {
    this.#makeRoom(1);
    this.#offset = this.#bytes.writeUInt8(value, this.#offset);
  }

  u32(value: number): void {
    this.#makeRoom(4);
    this.#offset = this.#bytes.writeUInt32LE(value, this.#offset);
  }

  /** Whole numbers from 0 to 2^53 - 1. */
  varint(value: number): void {
    this.#makeRoom(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#offset] = (rest % 0x80) | 0x80;
      this.#offset += 1;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#offset] = rest;
    this.#offset += 1;
  }

  zigzag(value: number): void {
    this.varint(value < 0 ? -value * 2 - 1 : value * 2);
  }

  raw(bytes: Uint8Array): void {
    this.#makeRoom(bytes.length);
    this.#bytes.set(bytes, this.#offset);
    this.#offset += bytes.length;
  }

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#offset);
  }

  #makeRoom(bytes: number): void {
    if (this.#offset + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#offset + bytes));
    this.#bytes.copy(larger, 0, 0, this.#offset);
    this.#bytes = larger;
  }
}

export class ByteReader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** How many bytes have been read. */
  get position(): number {
    return this.#offset;
  }

  isAtEnd(): boolean {
    return this.#offset >= this.#bytes.length;
  }

  byte(): number {
    const value = this.#bytes.readUInt8(this.#offset);
    this.#offset += 1;
    return value;
  }

  u32(): number {
    const value = this.#bytes.readUInt32LE(this.#offset);
    this.#offset += 4;
    return value;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER) throw new RangeError("a number that nobody wrote");
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** Not copied. */
  raw(length: number): Buffer {
    const start = this.#offset;
    this.#offset += length;
    if (this.#offset > this.#bytes.length) throw new RangeError("the bytes end too early");
    return this.#bytes.subarray(start, this.#offset);
  }
}
