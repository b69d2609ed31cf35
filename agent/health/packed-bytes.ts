// Writing and reading small packed records: bytes, fixed-width little-endian numbers, LEB128 varints (7 bits a
// byte, low ones first), and zigzag for signed ones.

const BYTES_FIRST = 64;
/** From here on copying bytes one by one takes longer than asking for the copy of all. */
const LATIN1_BY_ONE_MAX = 24;

export class ByteWriter {
  #bytes: Buffer;
  #offset = 0;

  /** `bytesExpected`: room that is made at once. */
  constructor(bytesExpected = BYTES_FIRST) {
    this.#bytes = Buffer.allocUnsafe(bytesExpected);
  }

  byte(value: number): void {
    this.#makeRoom(1);
    this.#offset = this.#bytes.writeUInt8(value, this.#offset);
  }

  u32(value: number): void {
    this.#makeRoom(4);
    this.#offset = this.#bytes.writeUInt32LE(value, this.#offset);
  }

  u16BigEndian(value: number): void {
    this.#makeRoom(2);
    this.#offset = this.#bytes.writeUInt16BE(value, this.#offset);
  }

  u32BigEndian(value: number): void {
    this.#makeRoom(4);
    this.#offset = this.#bytes.writeUInt32BE(value, this.#offset);
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

  /** One byte for each character. */
  latin1(text: string): void {
    this.#makeRoom(text.length);
    if (text.length > LATIN1_BY_ONE_MAX) {
      this.#offset += this.#bytes.write(text, this.#offset, "latin1");
      return;
    }
    for (let index = 0; index < text.length; index += 1)
      this.#bytes[this.#offset + index] = text.charCodeAt(index);
    this.#offset += text.length;
  }

  utf8(text: string): void {
    this.#makeRoom(text.length * 3);
    this.#offset += this.#bytes.write(text, this.#offset, "utf8");
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

  u16BigEndian(): number {
    const value = this.#bytes.readUInt16BE(this.#offset);
    this.#offset += 2;
    return value;
  }

  u32BigEndian(): number {
    const value = this.#bytes.readUInt32BE(this.#offset);
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
