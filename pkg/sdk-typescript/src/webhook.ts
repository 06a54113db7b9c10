/** A delivery does not come from whoever knows the secret, is too old or too new, or was changed on the way. */
export class SignatureError extends Error {
  override readonly name = "SignatureError";
}

/** Headers of a request, as fetch, Node or a plain object have them. Names of a plain object are in lower case. */
export type HeaderSource = Headers | Record<string, string | string[] | undefined>;

/** How far the time of a delivery may be off, in seconds. */
const tolerance = 5 * 60;

/**
 * Checks the signature of a delivery in the form of the published API: the header event-signature is the HMAC-SHA1, in
 * hexadecimal digits, of the body as it came, under the secret. It does not show that a delivery is new: look at its
 * event-delivery header for that. Throws a {@link SignatureError}.
 */
export async function verifyEvent(secret: string, headers: HeaderSource, body: string | Uint8Array): Promise<void> {
  const signature = header(headers, "event-signature");
  if (!/^([0-9a-f]{2})+$/i.test(signature)) {
    throw new SignatureError("the signature is missing or not hexadecimal");
  }
  const given = Uint8Array.from(signature.match(/../g) ?? [], (digits) => parseInt(digits, 16));
  if (!await verified("SHA-1", bytes(secret), given, bytes(body))) {
    throw new SignatureError("the signature is wrong");
  }
}

/**
 * Checks the signature of a delivery in the form of Standard Webhooks: the headers webhook-id, webhook-timestamp and
 * webhook-signature. The secret is in base64, with or without whsec_ before it. Throws a {@link SignatureError}.
 */
export async function verifyStandardWebhook(secret: string, headers: HeaderSource, body: string | Uint8Array): Promise<void> {
  const id = header(headers, "webhook-id"), timestamp = header(headers, "webhook-timestamp");
  if (id === "" || !/^[0-9]{1,12}$/.test(timestamp)) {
    throw new SignatureError("the id or the time is missing");
  }
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > tolerance) {
    throw new SignatureError("the time is too far off");
  }
  const key = fromBase64(secret.replace(/^whsec_/, ""));
  if (key === undefined) {
    throw new TypeError("the secret is not base64");
  }
  const content = bytes(body), signed = new Uint8Array([...bytes(`${id}.${timestamp}.`), ...content]);
  for (const item of header(headers, "webhook-signature").split(" ")) {
    const [version, text = ""] = item.split(",");
    const given = fromBase64(text);
    if (version === "v1" && given !== undefined && await verified("SHA-256", key, given, signed)) {
      return;
    }
  }
  throw new SignatureError("no signature is right");
}

/** verified compares in a time that tells nothing. */
async function verified(
  hash: string, secret: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer>, data: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  if (secret.length === 0) {
    throw new TypeError("the secret is empty: anybody could sign with it");
  }
  const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash }, false, ["verify"]);
  return crypto.subtle.verify("HMAC", key, signature, data);
}

function bytes(content: string | Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(typeof content === "string" ? new TextEncoder().encode(content) : content);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/** header reads a header, which must not come twice. */
function header(headers: HeaderSource, name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : headers[name];
  return typeof value === "string" ? value : "";
}
