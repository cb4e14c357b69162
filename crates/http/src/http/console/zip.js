/** Writes archives in the form of ZIP, with every file stored as it is. */

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) {
    value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return value;
});

/** The checksum that archives carry of each file. */
export function crc32(data) {
  let value = 0xffffffff;
  for (const byte of data) {
    value = (value >>> 8) ^ TABLE[(value ^ byte) & 0xff];
  }
  return (value ^ 0xffffffff) >>> 0;
}

/** The archive of `files`, pairs of a name and a text; its parts, in order. */
export function zip(files, now = new Date()) {
  const encoder = new TextEncoder();
  const stamp = dosTime(now);
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const [name, text] of files) {
    const bytes = encoder.encode(name);
    const data = encoder.encode(text);
    const common = header(bytes, data, stamp);
    const local = [u32(0x04034b50), common, bytes];
    directory.push([u32(0x02014b50), u16(20), common, centralEnd(offset), bytes]);
    parts.push(...local, data);
    offset += 30 + bytes.length + data.length;
  }
  const central = directory.flat();
  const size = central.reduce((total, part) => total + part.length, 0);
  const end = [
    u32(0x06054b50),
    u16(0),
    u16(0),
    u16(files.length),
    u16(files.length),
    u32(size),
    u32(offset),
    u16(0),
  ];
  return [...parts, ...central, ...end];
}

/** What the two headers of a file share: version, names in UTF-8, stored, time, checksum, sizes. */
function header(name, data, [time, date]) {
  return joined([
    u16(20),
    u16(0x0800),
    u16(0),
    u16(time),
    u16(date),
    u32(crc32(data)),
    u32(data.length),
    u32(data.length),
    u16(name.length),
    u16(0),
  ]);
}

/** No comment, disk 0, no attributes, and where the file begins. */
function centralEnd(offset) {
  return joined([u16(0), u16(0), u16(0), u32(0), u32(offset)]);
}

function dosTime(now) {
  const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
  const date = ((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
  return [time, date];
}

function u16(value) {
  return Uint8Array.of(value & 0xff, (value >>> 8) & 0xff);
}

function u32(value) {
  return joined([u16(value & 0xffff), u16(value >>> 16)]);
}

function joined(parts) {
  const bytes = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
