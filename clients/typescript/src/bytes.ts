/** Bytes, their texts and their hashes. */

export type Bytes = Uint8Array<ArrayBuffer>;

export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text);
}

/** Base64url without padding (RFC 7515). */
export function toBase64Url(bytes: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The bytes of a text in base64url; `null` of one that has a second form, or is none. */
export function fromBase64Url(text: string): Bytes | null {
  let binary: string;
  try {
    binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return null;
  }
  const bytes = Uint8Array.from(binary, (byte) => byte.charCodeAt(0));
  return toBase64Url(bytes) === text ? bytes : null;
}

/** SHA-256, in base64url. */
export async function sha256(text: string): Promise<string> {
  return toBase64Url(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(text))));
}

/** As UTF-8 sorts texts. That of the language goes by UTF-16 and sorts some of them otherwise. */
export function compareByBytes(left: string, right: string): number {
  const [a, b] = [utf8(left), utf8(right)];
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at === -1 ? a.length - b.length : (a[at] ?? 0) - (b[at] ?? -1);
}
